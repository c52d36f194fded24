import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FrameWriter } from '../../../src/h2/frame-writer.ts';
import { SendQueue } from '../../../src/h2/send-queue.ts';

const CHUNK = 4096;

describe('the bytes that a stream has yet to send', () => {
	test('leave in order, whatever they are cut into', () => {
		const queue = new SendQueue({ bytes: 0 });
		const sent: Buffer[] = [];
		const whole: Buffer[] = [];
		for (let n = 0; n < 300; n++) {
			const chunk = Buffer.alloc(1 + ((n * 37) % 2000), n);
			whole.push(chunk);
			queue.push(chunk);
			const writer = new FrameWriter();
			const count = Math.min(queue.bytes, 1 + ((n * 91) % 1900));
			queue.moveTo(writer, count);
			for (const part of writer.take()) sent.push(Buffer.from(part));
		}
		const writer = new FrameWriter();
		queue.moveTo(writer, queue.bytes);
		sent.push(...writer.take());
		assert.deepEqual(Buffer.concat(sent), Buffer.concat(whole));
		assert.equal(queue.bytes, 0);
	});

	test('are counted together with those of other streams, until they leave or are dropped', () => {
		const total = { bytes: 0 };
		const [one, other] = [new SendQueue(total), new SendQueue(total)];
		one.push(Buffer.alloc(100));
		other.push(Buffer.alloc(30));
		assert.equal(total.bytes, 130);
		one.moveTo(new FrameWriter(), 60);
		assert.equal(total.bytes, 70);
		one.clear();
		assert.equal(total.bytes, 30);
	});

	test('are not held once they have left', async () => {
		setFlagsFromString('--expose-gc');
		const gc: unknown = runInNewContext('gc');
		assert.ok(typeof gc === 'function');
		const queue = new SendQueue({ bytes: 0 });
		const left = send(queue, 50);
		// A WeakRef holds its target until the turn of the event loop that made it is over.
		await new Promise((resolve) => setImmediate(resolve));
		gc();
		assert.equal(left.filter((chunk) => chunk.deref() !== undefined).length, 0);
		assert.equal(queue.bytes, CHUNK);
	});
});

/** Sends all of them but the last, each as a part of its own. */
function send(queue: SendQueue, chunks: number): WeakRef<ArrayBufferLike>[] {
	const refs: WeakRef<ArrayBufferLike>[] = [];
	for (let n = 0; n < chunks; n++) {
		const chunk = Buffer.alloc(CHUNK);
		if (n < chunks - 1) refs.push(new WeakRef(chunk.buffer));
		queue.push(chunk);
	}
	const writer = new FrameWriter();
	for (let n = 0; n < chunks - 1; n++) {
		queue.moveTo(writer, CHUNK);
		writer.take();
	}
	return refs;
}
