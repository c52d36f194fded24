/** What becomes of log lines when their reader is slow, gone or out of room. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogOutput } from '../../../src/shared/log-output.ts';

/** A descriptor of which a test says what it takes: bytes, or an error's code. */
function descriptor() {
	const state = { takes: Number.POSITIVE_INFINITY as number | string, written: '', calls: 0, onWrite: () => {} };
	const write = (_fd: number, data: string | NodeJS.ArrayBufferView): number => {
		state.calls += 1;
		if (typeof state.takes === 'string') throw Object.assign(new Error(state.takes), { code: state.takes });
		const bytes = Buffer.from(String(data)).subarray(0, state.takes);
		state.written += bytes.toString();
		state.onWrite();
		return bytes.length;
	};
	return { state, output: new LogOutput(1, write) };
}

test('a line is out when write returns', () => {
	const { state, output } = descriptor();
	output.write('a\n');
	assert.equal(state.written, 'a\n');
});

test('lines that a pipe does not take wait, in order, and follow without another write', async () => {
	const { state, output } = descriptor();
	state.takes = 2;
	output.write('first\n');
	state.takes = 'EAGAIN';
	output.write('second\n');
	assert.equal(state.written, 'fi');
	state.takes = 3;
	await new Promise<void>((resolve) => {
		// The retry alone does not keep a process alive.
		const alive = setInterval(() => {}, 60_000);
		state.onWrite = () => {
			if (!state.written.endsWith('second\n')) return;
			clearInterval(alive);
			resolve();
		};
	});
	assert.equal(state.written, 'first\nsecond\n');
});

test('a reader that stays behind costs lines, which are counted, not memory', () => {
	const { state, output } = descriptor();
	const line = `${'x'.repeat(1024 * 1024 - 1)}\n`;
	state.takes = 'EAGAIN';
	for (let count = 0; count < 11; count++) output.write(line);
	state.takes = Number.POSITIVE_INFINITY;
	output.flushSync();
	const lines = state.written.trimEnd().split('\n');
	assert.equal(lines.length, 9);
	const { time, ...report } = JSON.parse(lines[8] ?? '');
	assert.deepEqual(report, { level: 'warn', lost: 3, msg: 'log lines were lost' });
	assert.ok(Date.parse(time));
});

test('a closed pipe ends it at once, also at the end of the process', () => {
	const { state, output } = descriptor();
	state.takes = 'EPIPE';
	output.write('a\n');
	assert.equal(state.calls, 1);
	output.write('b\n');
	output.flushSync();
	assert.equal(state.calls, 1);
});

test('a fault that passes costs the lines that met it', () => {
	const { state, output } = descriptor();
	state.takes = 'ENOSPC';
	output.write('a\n');
	output.write('b\n');
	state.takes = Number.POSITIVE_INFINITY;
	output.write('c\n');
	const [line, report] = state.written.split('\n');
	assert.equal(line, 'c');
	assert.equal(JSON.parse(report ?? '').lost, 2);
});

test('the last lines are tried for a while, not for ever', () => {
	const { state, output } = descriptor();
	state.takes = 'EAGAIN';
	output.write('a\n');
	output.flushSync();
	assert.ok(state.calls < 50);
	assert.equal(state.written, '');
});
