import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { arch, hostname, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { describeMachine } from '../../../src/agent/hardware.ts';

let dir: string;
before(async () => {
	dir = await mkdtemp(join(tmpdir(), 'slime-hardware-'));
});
after(() => rm(dir, { recursive: true }));

/** A stand-in for systeminformation. */
async function library(name: string, source: string): Promise<string> {
	const file = join(dir, `${name}.cjs`);
	await writeFile(file, source);
	return file;
}

/** Milliseconds: no part that ends is left out on a slow machine. */
const LONG = 60_000;
const CPU = "exports.cpu = async () => ({ manufacturer: 'AMD', brand: 'EPYC', cores: 64 });";

test('this machine is described within the limits', async () => {
	const machine = await describeMachine({ timeLimit: LONG });
	assert.equal(machine.hostname, hostname());
	assert.equal(machine.arch, arch());
	assert.equal(machine.memory, totalmem());
	assert.ok(machine.cpu && machine.cpu.cores > 0);
	assert.ok(Array.isArray(machine.gpus));
	assert.ok(machine.macs.every((mac) => /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(mac)));
	assert.ok(Buffer.byteLength(JSON.stringify(machine)) <= 4096);
});

test('GPUs are told with the memory that their own tool reports', async () => {
	const file = await library(
		'gpus',
		`${CPU} exports.graphics = async () => ({ controllers: [
			{ vendor: 'NVIDIA', model: 'H100', vram: 256, memoryTotal: 81559 },
			{ vendor: 'AMD', model: 'MI300X', vram: 196608 },
			{ vendor: 'Cirrus', model: 'GD 5446', vram: null },
		] });`,
	);
	const { cpu, gpus } = await describeMachine({ library: file, timeLimit: LONG });
	assert.deepEqual(cpu, { model: 'AMD EPYC', cores: 64 });
	assert.deepEqual(gpus, [
		{ vendor: 'NVIDIA', model: 'H100', vram: 81559 },
		{ vendor: 'AMD', model: 'MI300X', vram: 196608 },
		{ vendor: 'Cirrus', model: 'GD 5446' },
	]);
});

test('a part that hangs, even without ever yielding, is left out and the rest is told', async () => {
	const file = await library('hangs', `${CPU} exports.graphics = () => { for (;;); };`);
	const machine = await describeMachine({ library: file, timeLimit: 8000 });
	assert.deepEqual(machine.cpu, { model: 'AMD EPYC', cores: 64 });
	assert.equal('gpus' in machine, false);
});

test('a part that fails is left out and the rest is told', async () => {
	const file = await library(
		'fails',
		"exports.cpu = async () => { throw new Error('no'); }; exports.graphics = async () => { console.log('noise'); return { controllers: [] }; };",
	);
	const machine = await describeMachine({ library: file, timeLimit: LONG });
	assert.equal('cpu' in machine, false);
	assert.deepEqual(machine.gpus, []);
});

test('without the library there is still a machine', async () => {
	const machine = await describeMachine({ library: join(dir, 'missing.cjs') });
	assert.equal(machine.hostname, hostname());
	assert.equal('cpu' in machine, false);
});

test('a description is never longer than it may be', async () => {
	const file = await library(
		'long',
		`${CPU} exports.graphics = async () => ({
			controllers: Array.from({ length: 100 }, () => ({ vendor: '€'.repeat(1000), model: '€'.repeat(1000), vram: 1 })),
		});`,
	);
	const machine = await describeMachine({ library: file });
	assert.ok(Buffer.byteLength(JSON.stringify(machine)) <= 4096);
	assert.ok((machine.gpus?.length ?? 0) > 0);
});
