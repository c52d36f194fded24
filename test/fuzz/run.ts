/**
 * The mutation fuzzer: `npm run fuzz -- --frames 1000000 --seed N`. Spoils recorded sessions and feeds them to the engine in both
 * roles until that many frames were read. Without --seed it takes one from the clock; it always says which. A case that fails is
 * run again alone with `--seed N --case K`; as recordings differ a little from run to run, its bytes are printed too.
 */
import { parseArgs } from 'node:util';
import { CLIENT_PREFACE } from '../../src/h2/protocol.ts';
import { seeded } from '../helpers/seeded.ts';
import { fragment, mutate } from './mutations.ts';
import { recordAll } from './recording.ts';
import { feed } from './target.ts';

const { values } = parseArgs({
	options: {
		frames: { type: 'string', default: '1000000' },
		seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
		case: { type: 'string' },
	},
});
const frames = Number(values.frames);
const seed = Number(values.seed);
if (!Number.isInteger(frames) || !Number.isInteger(seed)) throw new Error('--frames and --seed are integers');

const recordings = await recordAll();
const all = recordings.flatMap(({ fromClient, fromServer }) => [...fromClient.slice(1), ...fromServer]);
const began = performance.now();
let read = 0;
let survived = 0;
let streams = 0;
console.log(`seed ${seed}, ${all.length} recorded frames`);

async function run(number: number): Promise<void> {
	const random = seeded((Math.imul(seed, 0x9e37_79b1) ^ number) | 0);
	const recording = recordings[random(recordings.length)] as (typeof recordings)[number];
	const role = random(2) === 0 ? 'server' : 'client';
	const session = [...(role === 'server' ? recording.fromClient : recording.fromServer)];
	// The preface and SETTINGS are spoiled only now and then, or little else would be reached.
	const from = random(20) === 0 ? 0 : role === 'server' ? 2 : 1;
	for (let count = random(4); count >= 0; count--) mutate(session, from, random, all);
	const bytes = Buffer.concat(session);
	const pieces = fragment(bytes, random);
	const pause = 1 + random(20);
	try {
		const outcome = await feed(role, pieces, (piece) => piece % pause === 0);
		if (!outcome.closedEarly) survived++;
		streams += outcome.streams;
		read += framesIn(session, Buffer.concat(pieces.slice(0, outcome.read)).length);
	} catch (error) {
		console.error(
			`\ncase ${number} of seed ${seed}: ${recording.name}, as ${role}, pieces of ${pieces.map((p) => p.length).slice(0, 50)}`,
		);
		console.error(bytes.toString('hex'));
		console.error(error);
		process.exitCode = 1;
	}
}

/** How many frames ended within the first `length` bytes. */
function framesIn(session: readonly Buffer[], length: number): number {
	let end = 0;
	let count = 0;
	for (const bytes of session) {
		end += bytes.length;
		if (end > length) break;
		if (!bytes.equals(CLIENT_PREFACE)) count++;
	}
	return count;
}

let cases = 0;
if (values.case !== undefined) await run(Number(values.case));
else while (read < frames && process.exitCode === undefined) await run(cases++);

const seconds = (performance.now() - began) / 1000;
console.log(
	`${read} frames in ${cases} cases, ${survived} of them to the end, ${streams} streams, ${seconds.toFixed(1)} s`,
);
