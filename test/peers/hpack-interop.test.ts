/** Our HPACK against the hpack package of Python: thousands of generated lists both ways, table sizes changing in between. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { HpackDecoder } from '../../src/h2/hpack-decoder.ts';
import { HpackEncoder, NEVER_INDEXED } from '../../src/h2/hpack-encoder.ts';
import { generateFields } from '../helpers/generated-fields.ts';
import { representations } from '../helpers/hpack-representations.ts';
import { locateProgram } from '../helpers/peer-process.ts';
import { seeded } from '../helpers/seeded.ts';

const LISTS = 4000;
const script = fileURLToPath(new URL('../helpers/hpack-coder.py', import.meta.url));

/** The first Python that has the package; the distribution's may not be the one on PATH. */
function findPython(): string {
	const candidates = [locateProgram('python3'), '/usr/bin/python3'];
	const found = candidates.find((python) => python && spawnSync(python, ['-c', 'import hpack']).status === 0);
	return found ?? assert.fail('the hpack package for Python is missing: apt-get install python3-hpack');
}

type Field = [name: string, value: string, never: boolean];
type Command =
	| { do: 'encode'; fields: Field[]; huffman: boolean }
	| { do: 'decode'; block: string }
	| { do: 'resize encoder' | 'resize decoder'; size: number };

/** The answers of the other coder to commands in their order. */
function ask(commands: readonly Command[]): unknown[] {
	const input = commands.map((command) => JSON.stringify(command)).join('\n');
	const run = spawnSync(findPython(), [script], { input, encoding: 'utf8', maxBuffer: 1 << 28, timeout: 120_000 });
	assert.equal(run.status, 0, run.stderr);
	const answers = run.stdout.trimEnd().split('\n');
	assert.equal(answers.length, commands.length);
	return answers.map((line) => JSON.parse(line));
}

const hex = (text: string) => Buffer.from(text, 'latin1').toString('hex');

/** In hexadecimal, with whether each has to be never-indexed. */
function marked(fields: readonly string[], secret: (name: string) => boolean): Field[] {
	const list: Field[] = [];
	for (let i = 0; i < fields.length; i += 2) {
		const name = fields[i] as string;
		list.push([hex(name), hex(fields[i + 1] as string), secret(name)]);
	}
	return list;
}

/** Now and then a few sizes in a row, 0 among them. */
function sizes(next: (below: number) => number, most: number): number[] {
	const count = next(20) === 0 ? 1 + next(3) : 0;
	return Array.from({ length: count }, () => (next(4) === 0 ? 0 : next(most)));
}

for (const [seed, maxTableSize, huffman] of [
	[11, 4096, true],
	[12, 4096, false],
	[13, 65_536, true],
	[14, 0, true],
] as const) {
	test(`what we compress is read by another coder: seed ${seed}, table of ${maxTableSize}, huffman ${huffman}`, () => {
		const next = seeded(seed);
		const encoder = new HpackEncoder({ maxTableSize, huffman });
		const commands: Command[] = [];
		const expected: unknown[] = [];
		let resized = 0;
		for (let round = 0; round < LISTS; round++) {
			for (const size of sizes(next, 20_000)) {
				encoder.setPeerTableSize(size);
				commands.push({ do: 'resize decoder', size });
				expected.push(null);
				resized++;
			}
			const fields = generateFields(next);
			const names = fields.filter((_, i) => i % 2 === 0);
			const also = next(6) === 0 ? names.filter(() => next(3) === 0) : undefined;
			commands.push({ do: 'decode', block: encoder.encode(fields, also).toString('hex') });
			expected.push(marked(fields, (name) => NEVER_INDEXED.has(name) || (also?.includes(name) ?? false)));
		}
		assert.ok(resized > 100);
		assert.deepEqual(ask(commands), expected);
	});
}

for (const [seed, huffman] of [
	[21, true],
	[22, false],
] as const) {
	test(`what another coder compresses is read by us: seed ${seed}, huffman ${huffman}`, () => {
		const next = seeded(seed);
		const commands: Command[] = [];
		const lists: Array<{ fields: string[] } | { size: number }> = [];
		for (let round = 0; round < LISTS; round++) {
			// It announces every change, and none if the last was none, where RFC 7541 section 4.2 has the smallest and the last.
			const changes = [...new Set(sizes(next, 20_000).slice(0, 2))].sort((a, b) => a - b);
			for (const size of changes) {
				commands.push({ do: 'resize encoder', size });
				lists.push({ size });
			}
			const fields = generateFields(next);
			const secret = new Set(fields.filter((_, i) => i % 2 === 0 && next(8) === 0));
			commands.push({ do: 'encode', fields: marked(fields, (name) => secret.has(name)), huffman });
			lists.push({ fields });
		}
		const answers = ask(commands);
		const decoder = new HpackDecoder({ maxListSize: 1e6 });
		let read = 0;
		let secrets = 0;
		for (const [i, list] of lists.entries()) {
			if ('size' in list) {
				decoder.setMaxTableSize(list.size);
				continue;
			}
			const block = Buffer.from(answers[i] as string, 'hex');
			const as = representations(block);
			assert.deepEqual(decoder.decode(block), list.fields, `list ${i}`);
			const names = list.fields.filter((_, at) => at % 2 === 0);
			const never = names.filter((_, at) => as[at] === 'never indexed');
			assert.deepEqual(decoder.neverIndexed ?? [], never, `list ${i}`);
			secrets += never.length;
			read++;
		}
		assert.equal(read, LISTS);
		assert.ok(secrets > 1000, `${secrets} never-indexed fields`);
	});
}
