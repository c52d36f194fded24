/** Large bodies beside small ones: how much of them is under way, by the clock alone, and between two ends of a connection. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { InFlight } from '../../../src/h2/in-flight.ts';
import { Session } from '../../../src/h2/session.ts';
import type { Stream } from '../../../src/h2/stream.ts';
import { duplexPair } from '../../helpers/h2-duplex.ts';
import { OK } from '../../helpers/h2-peer.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const LEAST = 256 * KiB;
const BULK = 1;
const TOKENS = 3;

/** Sends pieces of 16 KiB for as long as it may. @returns bytes */
function fill(flight: InFlight, now: number): number {
	let bytes = 0;
	for (; flight.hasRoom(now) && bytes < 64 * MiB; bytes += 16 * KiB) {
		flight.large(BULK, now);
		flight.sent(16 * KiB);
	}
	return bytes;
}

describe('what may be under way', () => {
	test('is not bounded while there are no small bodies, nor is anything asked', () => {
		const flight = new InFlight();
		assert.equal(fill(flight, 0), 64 * MiB);
		assert.equal(flight.isDue(0), false);
	});

	test('is not bounded for small bodies alone, however many', () => {
		const flight = new InFlight();
		flight.small(TOKENS, 0);
		flight.sent(MiB);
		assert.equal(flight.hasRoom(0), true);
		assert.equal(flight.isDue(0), false);
	});

	test('is bounded for as long as a large body waits for an answer, however slow the link', () => {
		const flight = new InFlight();
		flight.small(TOKENS, 0);
		fill(flight, 0);
		for (let now = 100; now < 5000; now += 100) {
			flight.small(TOKENS, now);
			assert.equal(flight.hasRoom(now), false);
		}
	});

	test('the end of a large body is no small one', () => {
		const flight = new InFlight();
		flight.large(BULK, 0);
		flight.small(BULK, 0);
		assert.equal(fill(flight, 0), 64 * MiB);
		flight.small(TOKENS, 0);
		assert.equal(fill(flight, 0), LEAST);
	});

	test('is little at first, and half again what came in a round trip from then on', () => {
		const flight = new InFlight();
		flight.small(TOKENS, 0);
		assert.equal(fill(flight, 0), LEAST);
		assert.equal(flight.isDue(0), true);
		flight.mark(1, 0);
		assert.equal(flight.isDue(1), false, 'nothing left since');
		assert.equal(flight.hasRoom(40), false);
		flight.answered(1, 50, 50);
		assert.equal(fill(flight, 50), 1.5 * LEAST);
		assert.equal(flight.isDue(50), true);
		flight.mark(2, 50);
		// The link takes no more: it is on its way for twice as long.
		flight.answered(2, 100, 150);
		flight.small(TOKENS, 150);
		assert.equal(fill(flight, 150), 1.5 * LEAST);
	});

	test('is bounded for a second after the last small body', () => {
		const flight = new InFlight();
		flight.small(TOKENS, 0);
		fill(flight, 0);
		assert.equal(flight.hasRoom(1000), false);
		assert.equal(fill(flight, 1001), 64 * MiB);
		flight.small(TOKENS, 2000);
		assert.equal(fill(flight, 2000), LEAST, 'what left meanwhile does not count');
	});

	test('the round trip is measured again with little under way, so that a longer link is no slower one', () => {
		const flight = new InFlight();
		let pings = 0;
		/** One round trip on a link of 10 MB/s. @returns how much was under way */
		const roundTrip = (now: number, delay: number) => {
			flight.small(TOKENS, now);
			const bytes = fill(flight, now);
			assert.ok(flight.isDue(now));
			flight.mark(++pings, now);
			const took = delay + bytes / 10_000;
			flight.answered(pings, took, now + took);
			return bytes;
		};
		for (let now = 0; now < 9000; now += 500) roundTrip(now, 10);
		// A route that is longer by 190 ms holds 2 MB.
		let last = 0;
		for (let now = 9500; now < 60_000; now += 300) last = Math.max(last, roundTrip(now, 200));
		assert.ok(last > 2_000_000, `${last} bytes`);
		// And the first one again.
		for (let now = 60_000; now < 90_000; now += 1000) last = roundTrip(now, 10);
		assert.ok(last < 1_000_000, `${last} bytes`);
	});

	test('there are not more PINGs than a peer may be sent, on the fastest link', () => {
		const flight = new InFlight();
		const sent: number[] = [];
		let [marks, answers] = [0, 0];
		for (let now = 0; now < 1000; now += 0.02) {
			flight.small(TOKENS, now);
			// 5 GB/s.
			if (flight.hasRoom(now)) {
				flight.large(BULK, now);
				flight.sent(100 * KiB);
			}
			if (flight.isDue(now)) {
				flight.mark(sent.push(now), now);
				marks++;
			}
			// Answers take 0.2 ms.
			while ((sent[answers] ?? now) + 0.2 <= now) flight.answered(++answers, 0.2, now);
		}
		assert.ok(marks > 1000 && marks <= 10_001, `${marks} in a second`);
	});

	test('a PING that is never answered is made up for by the next', () => {
		const flight = new InFlight();
		flight.small(TOKENS, 0);
		flight.large(BULK, 0);
		flight.sent(64 * KiB);
		assert.ok(flight.isDue(0));
		flight.mark(1, 0);
		fill(flight, 1);
		assert.ok(flight.isDue(1));
		flight.mark(2, 1);
		assert.equal(flight.hasRoom(2), false);
		flight.answered(2, 1, 2);
		assert.ok(fill(flight, 2) >= LEAST);
		// Late, it changes nothing.
		flight.answered(1, 3, 3);
		assert.equal(flight.hasRoom(3), false);
	});
});

test('a download beside tokens waits for the answers to PINGs, the tokens do not, and without tokens neither does', async () => {
	const [near, far] = duplexPair();
	const piece = Buffer.alloc(64 * KiB);
	let tokens: Stream | null = null;
	const server = new Session({
		socket: far,
		role: 'server',
		paced: true,
		handler: {
			stream(stream, fields) {
				stream.respond(OK, false);
				if (fields.includes('/tokens')) tokens = stream;
				const more = () => {
					if (stream !== tokens) while (stream.write(piece));
				};
				more();
				return { data() {}, end() {}, failed() {}, drain: more };
			},
			closed() {},
		},
	});
	const got = { '/bulk': 0, '/tokens': 0 };
	let held = false;
	const client = new Session({
		socket: near,
		role: 'client',
		settings: { initialWindowSize: 16 * MiB },
		handler: { closed() {}, holdPings: () => held },
	});
	const open = (path: keyof typeof got) =>
		client.request([':method', 'GET', ':scheme', 'http', ':authority', 'x', ':path', path], true, {
			data(stream: Stream, chunk: Buffer) {
				got[path] += chunk.length;
				stream.consume(chunk.length);
			},
			end() {},
			failed() {},
		});
	const until = async (holds: () => boolean) => {
		while (!holds()) await turn();
	};
	open('/bulk');
	held = true;
	await until(() => got['/bulk'] > 32 * MiB);

	open('/tokens');
	await until(() => tokens !== null);
	const token = () => (tokens as Stream | null)?.write(Buffer.from('a token'));
	let at = -1;
	// What left before the first token is not held to anything.
	for (let still = 0; still < 50; still = got['/bulk'] === at ? still + 1 : 0) {
		at = got['/bulk'];
		token();
		await turn();
	}
	const before = got['/tokens'];
	token();
	await until(() => got['/tokens'] > before);
	assert.equal(got['/bulk'], at);

	held = false;
	client.releasePings();
	await until(() => {
		token();
		return got['/bulk'] > at + 8 * MiB;
	});
	server.destroy();
	client.destroy();
});
