/** Slabs and chunks are reused and passed by reference: bodies of random sizes must come through unharmed on every kind of socket. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { it } from 'node:test';
import tls from 'node:tls';
import { Session, type SessionHandler } from '../../../src/h2/session.ts';
import type { Stream } from '../../../src/h2/stream.ts';
import { makeCertificates } from '../../helpers/certificates.ts';
import { duplexPair } from '../../helpers/h2-duplex.ts';
import { OK, POST, Recorder } from '../../helpers/h2-peer.ts';
import { seeded } from '../../helpers/seeded.ts';

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

const echo: SessionHandler = {
	stream(stream, fields) {
		stream.respond([...OK, 'x-number', fields.at(-1) ?? ''], false);
		return {
			data(from: Stream, chunk: Buffer) {
				from.write(chunk);
				from.consume(chunk.length);
			},
			end: (from: Stream) => from.end(['x-trailer', fields.at(-1) ?? '']),
			failed() {},
		};
	},
	closed() {},
};

async function overServer(server: net.Server, dial: (port: number) => Duplex): Promise<[Duplex, Duplex]> {
	const isTls = server instanceof tls.Server;
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	const accepted = once(server, isTls ? 'secureConnection' : 'connection');
	const near = dial((server.address() as AddressInfo).port);
	await once(near, isTls ? 'secureConnect' : 'connect');
	const [far] = await accepted;
	server.close();
	return [near, far as Duplex];
}

const kinds: Array<[string, () => Promise<[Duplex, Duplex]>]> = [
	['TCP', () => overServer(net.createServer(), (port) => net.connect(port, '127.0.0.1'))],
	[
		'TLS',
		() => {
			const { cert, key, ca } = makeCertificates();
			return overServer(tls.createServer({ cert, key }), (port) => tls.connect({ port, host: '127.0.0.1', ca }));
		},
	],
	['a plain Duplex that keeps what it was given', async () => duplexPair()],
];

for (const [name, sockets] of kinds) {
	it(`echoes bodies of random sizes unharmed over ${name}`, async () => {
		const [near, far] = await sockets();
		new Session({ socket: far, role: 'server', handler: echo });
		const client = await new Promise<Session>((resolve) => {
			const session = new Session({
				socket: near,
				role: 'client',
				handler: { settings: () => resolve(session), closed() {} },
			});
		});
		const random = seeded(11);
		const one = async (number: number): Promise<void> => {
			const recorder = new Recorder();
			const stream = client.request([...POST, 'x-number', String(number)], false, recorder);
			const sent: Buffer[] = [];
			for (let i = random(12); i >= 0; i--) {
				const chunk = Buffer.alloc(random(4) === 0 ? random(60_000) : random(2000));
				for (let at = 0; at < chunk.length; at += 7) chunk[at] = random(256);
				sent.push(chunk);
				stream.write(chunk);
				if (random(2) === 0) await new Promise((resolve) => setImmediate(resolve));
			}
			stream.end();
			await recorder.over;
			assert.equal(recorder.failure, null);
			assert.equal(hash(recorder.body), hash(Buffer.concat(sent)));
			assert.deepEqual(recorder.fields, [...OK, 'x-number', String(number)]);
			assert.deepEqual(recorder.trailerFields, ['x-trailer', String(number)]);
		};
		for (let round = 0; round < 5; round++) {
			await Promise.all(Array.from({ length: 40 }, (_, i) => one(round * 40 + i)));
		}
		client.destroy();
	});
}
