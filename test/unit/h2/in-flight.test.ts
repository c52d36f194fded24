/** Large bodies beside small ones: how much of them is under way, by the clock alone, and between two ends of a connection. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
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

/** Where a PING alone takes so many milliseconds. */
const on = (shortest: number) => new InFlight(() => shortest);

/** Sends pieces of 16 KiB for as long as it may. @returns bytes */
function fill(flight: InFlight, now: number): number {
	let bytes = 0;
	for (; flight.hasRoom(now) && bytes < 64 * MiB; bytes += 16 * KiB) {
		flight.large(BULK, now);
		flight.sent(16 * KiB);
	}
	return bytes;
}

/** Sends so much beside a small body, behind which a PING takes so long. */
function passes(
	flight: InFlight,
	{ bytes, took, at = 0, ping = 1 }: Record<'bytes' | 'took', number> & Partial<Record<'at' | 'ping', number>>,
): void {
	flight.large(BULK, at);
	flight.small(TOKENS, at);
	flight.sent(bytes);
	assert.ok(flight.isDue(at));
	flight.mark(ping, at);
	flight.answered(ping, took, at + took);
}

describe('what may be under way', () => {
	test('is not bounded while there are no small bodies, nor is anything asked', () => {
		const flight = on(20);
		assert.equal(fill(flight, 0), 64 * MiB);
		assert.equal(flight.isDue(0), false);
	});

	test('is not bounded for small bodies alone, however many, nor is anything asked', () => {
		const flight = on(20);
		flight.small(TOKENS, 0);
		flight.sent(MiB);
		assert.equal(flight.hasRoom(0), true);
		assert.equal(flight.isDue(0), false);
	});

	test('is not bounded where it comes about as fast as a PING alone', () => {
		const flight = on(50);
		passes(flight, { bytes: 4 * MiB, took: 119 });
		flight.small(TOKENS, 119);
		assert.equal(fill(flight, 119), 64 * MiB);
	});

	test('is what the link holds and half again once it queues up', () => {
		const flight = on(50);
		passes(flight, { bytes: 4 * MiB, took: 400 });
		flight.small(TOKENS, 400);
		assert.equal(fill(flight, 400), (1.5 * 50 * 4 * MiB) / 400);
	});

	test('is 256 KiB on a link that holds less', () => {
		const flight = on(20);
		passes(flight, { bytes: 800 * KiB, took: 800 });
		flight.small(TOKENS, 800);
		assert.equal(fill(flight, 800), LEAST);
	});

	test('grows by a quarter with each answer while nothing queues up', () => {
		const flight = on(20);
		passes(flight, { bytes: 800 * KiB, took: 800 });
		passes(flight, { bytes: 64 * KiB, took: 30, at: 800, ping: 2 });
		flight.small(TOKENS, 830);
		assert.equal(fill(flight, 830), 1.25 * LEAST);
	});

	test('says nothing of a PING alone where more is under way than is known', () => {
		const flight = on(20);
		fill(flight, 0);
		// Behind all that left before the small body.
		passes(flight, { bytes: 256 * KiB, took: 800 });
		passes(flight, { bytes: 256 * KiB, took: 256, at: 800, ping: 2 });
		flight.small(TOKENS, 1056);
		assert.equal(fill(flight, 1056), LEAST);
	});

	test('is bounded for as long as a large body waits for an answer, however slow the link', () => {
		const flight = on(20);
		passes(flight, { bytes: 800 * KiB, took: 800 });
		flight.small(TOKENS, 800);
		fill(flight, 800);
		for (let now = 900; now < 6000; now += 100) {
			flight.small(TOKENS, now);
			assert.equal(flight.hasRoom(now), false);
		}
	});

	test('is bounded for a second after the last small body', () => {
		const flight = on(20);
		passes(flight, { bytes: 800 * KiB, took: 800 });
		flight.small(TOKENS, 800);
		fill(flight, 800);
		assert.equal(flight.hasRoom(1800), false);
		assert.equal(fill(flight, 1801), 64 * MiB);
		flight.small(TOKENS, 2000);
		assert.equal(fill(flight, 2000), LEAST, 'what left meanwhile does not count');
	});

	test('the end of a large body is no small one', () => {
		const flight = on(20);
		passes(flight, { bytes: 800 * KiB, took: 800 });
		flight.large(BULK, 1900);
		flight.small(BULK, 1900);
		assert.equal(fill(flight, 1900), 64 * MiB);
		flight.small(TOKENS, 1900);
		assert.equal(fill(flight, 1900), LEAST);
	});

	test('a PING alone is measured again, so that a longer link is no slower one, nor a shorter one a longer', () => {
		const flight = on(10);
		let pings = 0;
		/** One round trip on a link of 10 MB/s with windows of 4 MiB. @returns how much was under way */
		const roundTrip = (now: number, delay: number) => {
			flight.small(TOKENS, now);
			let bytes = 0;
			for (; flight.hasRoom(now) && bytes < 4 * MiB; bytes += 64 * KiB) {
				flight.large(BULK, now);
				flight.sent(64 * KiB);
			}
			assert.ok(flight.isDue(now));
			flight.mark(++pings, now);
			const took = delay + bytes / 10_000;
			flight.answered(pings, took, now + took);
			return bytes;
		};
		let last = 0;
		for (let now = 0; now < 20_000; now += 500) last = roundTrip(now, 10);
		assert.ok(last <= 2 * LEAST, `${last} bytes`);
		// A route that is longer by 190 ms holds 2 MB.
		let most = 0;
		for (let now = 20_000; now < 60_000; now += 500) most = Math.max(most, roundTrip(now, 200));
		assert.ok(most > 2_000_000, `${most} bytes`);
		// And the first one again.
		for (let now = 60_000; now < 90_000; now += 500) last = roundTrip(now, 10);
		assert.ok(last <= 2 * LEAST, `${last} bytes`);
	});

	test('there are not more PINGs than a peer may be sent, on the fastest link', () => {
		const flight = on(0.2);
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
			while ((sent[answers] ?? now) + 0.2 <= now) flight.answered(++answers, 0.2, now);
		}
		assert.ok(marks > 1000 && marks <= 10_001, `${marks} in a second`);
	});

	test('a PING that is never answered is made up for by the next', () => {
		const flight = on(20);
		passes(flight, { bytes: 800 * KiB, took: 800 });
		flight.small(TOKENS, 800);
		flight.large(BULK, 800);
		flight.sent(64 * KiB);
		assert.ok(flight.isDue(800));
		flight.mark(2, 800);
		fill(flight, 801);
		assert.ok(flight.isDue(801));
		flight.mark(3, 801);
		assert.equal(flight.hasRoom(802), false);
		flight.answered(3, 256, 1057);
		assert.equal(fill(flight, 1057), LEAST);
		// Late, it changes nothing.
		flight.answered(2, 300, 1101);
		assert.equal(flight.hasRoom(1101), false);
	});
});

test('a download whose PINGs came late waits beside tokens for the next, the tokens do not', {
	timeout: 60_000,
}, async () => {
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
		handler: {
			closed() {},
			holdPings: () => held,
		},
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
	await until(() => got['/bulk'] > 32 * MiB && server.shortestRoundTrip > 0);

	open('/tokens');
	await until(() => tokens !== null);
	const token = () => (tokens as Stream | null)?.write(Buffer.from('a token'));
	let at = -1;
	/** Whether nothing more of the download comes, while PINGs get no answer. */
	const stopsWithoutAnswers = async () => {
		held = true;
		for (let turns = 0, still = 0; turns < 500 && still < 50; turns++) {
			still = got['/bulk'] === at ? still + 1 : 0;
			at = got['/bulk'];
			token();
			await turn();
			if (still === 49) return true;
		}
		held = false;
		client.releasePings();
		return false;
	};
	// The link is stuck for a while, and whatever is behind it comes late: until there was a PING in it.
	do {
		token();
		far.hold();
		await sleep(100 + 3 * server.shortestRoundTrip);
		far.release();
		for (let turns = 0; turns < 20; turns++) {
			token();
			await turn();
		}
	} while (!(await stopsWithoutAnswers()));
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
