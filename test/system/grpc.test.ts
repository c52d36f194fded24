/** gRPC through hub and agent, with grpc-js at both ends: every kind of call, over h2c and over TLS, and the hub's own errors. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
	type CallOptions,
	Client,
	type ClientReadableStream,
	credentials,
	Metadata,
	ServerCredentials,
	type ServiceError,
	type StatusObject,
	status,
} from '@grpc/grpc-js';
import { writeCertificates } from '../helpers/certificates.ts';
import { type GrpcService, grpcService, MOST_BYTES } from '../helpers/grpc-service.ts';
import { h2Ask, h2Connect } from '../helpers/h2-app.ts';
import { type Stack, stack, workerFree } from '../helpers/stack.ts';

const same = (message: Buffer) => message;
const path = (name: string) => `/test.Service/${name}`;
/** Far longer than any call takes; retries would hide what the hub answers. */
const OPTIONS = {
	'grpc.max_receive_message_length': MOST_BYTES,
	'grpc.max_send_message_length': MOST_BYTES,
	'grpc.enable_retries': 0,
};

interface Scene extends Stack {
	readonly client: Client;
	readonly service: GrpcService;
}

type Route = 'h2c' | 'tls';

async function scene(t: TestContext, route: Route, numWorker = 8): Promise<Scene> {
	const folder = await mkdtemp(joinPath(tmpdir(), 'slime-grpc-'));
	t.after(() => rm(folder, { recursive: true }));
	if (route === 'h2c') {
		const service = await grpcService(t, ServerCredentials.createInsecure());
		const served = await stack(t, [`h2c://127.0.0.1:${service.port}`], { agent: { numWorker } });
		return { ...served, service, client: clientOf(t, served.port) };
	}
	const { cert, key, ca } = await writeCertificates(folder);
	const [chain, secret, root] = await Promise.all([readFile(cert), readFile(key), readFile(ca)]);
	const pairs = [{ private_key: secret, cert_chain: chain }];
	const service = await grpcService(t, ServerCredentials.createSsl(null, pairs));
	const served = await stack(t, [`https://localhost:${service.port}`], {
		hub: { tls: { cert, key } },
		agent: { ca, numWorker },
	});
	return { ...served, service, client: clientOf(t, served.port, root) };
}

function clientOf(t: TestContext, port: number, ca?: Buffer): Client {
	const secured = ca ? credentials.createSsl(ca) : credentials.createInsecure();
	const client = new Client(`localhost:${port}`, secured, OPTIONS);
	t.after(() => client.close());
	return client;
}

function withResolvers<T>() {
	let resolve!: (value: T) => void;
	let reject!: (error: Error) => void;
	const promise = new Promise<T>((yes, no) => {
		resolve = yes;
		reject = no;
	});
	return { promise, resolve, reject };
}

interface UnaryAnswer {
	readonly error: ServiceError | null;
	readonly body: Buffer | undefined;
	readonly headers: Metadata | undefined;
	readonly end: StatusObject;
}

/** One message there, one back. */
async function unary(
	client: Client,
	name: string,
	message: Buffer,
	metadata = new Metadata(),
	options: CallOptions = {},
): Promise<UnaryAnswer> {
	let headers: Metadata | undefined;
	const ended = withResolvers<StatusObject>();
	const answered = withResolvers<Pick<UnaryAnswer, 'error' | 'body'>>();
	const call = client.makeUnaryRequest(path(name), same, same, message, metadata, options, (error, body) => {
		answered.resolve({ error, body });
	});
	call.on('metadata', (received) => {
		headers = received;
	});
	call.on('status', (received) => ended.resolve(received));
	return { ...(await answered.promise), headers, end: await ended.promise };
}

/** All messages of a stream and how it ended. */
async function collect(call: ClientReadableStream<Buffer>): Promise<{ messages: string[]; end: StatusObject }> {
	const messages: string[] = [];
	call.on('data', (message: Buffer) => messages.push(String(message)));
	return { messages, end: await statusOf(call) };
}

/** How a call ends. */
function statusOf(call: { on(event: string, listener: (told: StatusObject) => void): unknown }): Promise<StatusObject> {
	// The status says the same.
	call.on('error', () => undefined);
	return new Promise((resolve) => call.on('status', resolve));
}

for (const route of ['h2c', 'tls'] as const) {
	test(`unary calls pass with their metadata and trailers (${route})`, async (t) => {
		const { client } = await scene(t, route);
		const metadata = new Metadata();
		metadata.set('echo', 'a value, with a comma');
		metadata.set('echo-bin', Buffer.from([0, 1, 254, 255]));
		metadata.set('trailer', 'late');
		const { error, body, headers, end } = await unary(client, 'Unary', Buffer.from('hello'), metadata);
		assert.equal(error, null);
		assert.equal(String(body), 'hello');
		assert.deepEqual(headers?.get('echo'), ['a value, with a comma']);
		assert.deepEqual(headers?.get('echo-bin'), [Buffer.from([0, 1, 254, 255])]);
		assert.deepEqual(end.metadata.get('trailer-back'), ['late']);
		assert.equal(end.code, status.OK);
	});

	test(`messages of megabytes and of no bytes arrive whole, both ways (${route})`, async (t) => {
		const { client } = await scene(t, route);
		for (const size of [0, 1, 5 * 1024 * 1024, 20 * 1024 * 1024]) {
			const message = randomBytes(size);
			const { error, body } = await unary(client, 'Unary', message);
			assert.equal(error, null);
			assert.equal(body?.equals(message), true, `${size} bytes`);
		}
	});

	test(`streams of requests, of responses and of both pass as they come (${route})`, async (t) => {
		const { client } = await scene(t, route);
		const collected = withResolvers<Buffer | undefined>();
		const upload = client.makeClientStreamRequest(path('Collect'), same, same, (error, body) => {
			if (error) collected.reject(error);
			else collected.resolve(body);
		});
		const parts = Array.from({ length: 200 }, () => randomBytes(20_000));
		for (const part of parts) if (!upload.write(part)) await once(upload, 'drain');
		upload.end();
		assert.equal((await collected.promise)?.equals(Buffer.concat(parts)), true);

		const count = client.makeServerStreamRequest(path('Count'), same, same, Buffer.from('3000'));
		const { messages, end } = await collect(count);
		assert.deepEqual(
			messages,
			Array.from({ length: 3000 }, (_, i) => `message ${i}`),
		);
		assert.equal(end.code, status.OK);

		// Each is said only when the one before was answered.
		const talk = client.makeBidiStreamRequest(path('Talk'), same, same);
		for (const word of ['one', 'two', 'three']) {
			talk.write(Buffer.from(word));
			const [answer] = await once(talk, 'data');
			assert.equal(String(answer), `you said ${word}`);
		}
		const ended = statusOf(talk);
		talk.resume();
		talk.end();
		assert.equal((await ended).code, status.OK);
	});

	test(`a call that fails at once, and one that fails late, say why (${route})`, async (t) => {
		const { client } = await scene(t, route);
		const { error } = await unary(client, 'Fail', Buffer.from('x'));
		assert.equal(error?.code, status.NOT_FOUND);
		assert.equal(error?.details, 'no such thing: 100 % ünknown');
		assert.deepEqual(error?.metadata.get('why'), ['because']);
		const late = await collect(client.makeServerStreamRequest(path('FailLate'), same, same, Buffer.from('x')));
		assert.deepEqual(late.messages, ['one', 'two']);
		assert.equal(late.end.code, status.DATA_LOSS);
		assert.equal(late.end.details, 'the rest is lost');
		const unknown = await unary(client, 'Nowhere', Buffer.from('x'));
		assert.equal(unknown.error?.code, status.UNIMPLEMENTED);
	});

	test(`a call past its deadline, and one that is cancelled, end at the upstream and free the worker (${route})`, async (t) => {
		const { client, service, hub } = await scene(t, route, 1);
		// The connections are there when the time begins to run.
		await unary(client, 'Unary', Buffer.from('before'));
		const deadline = Date.now() + 3000;
		const late = await collect(
			client.makeServerStreamRequest(path('Hang'), same, same, Buffer.from('x'), new Metadata(), { deadline }),
		);
		assert.deepEqual(late.messages, ['begun']);
		assert.equal(late.end.code, status.DEADLINE_EXCEEDED);
		const left = await service.cancelled();
		assert.ok(left > 0 && left <= 3000, `the upstream knew the deadline: ${left} ms were left`);
		await workerFree(hub);

		const call = client.makeServerStreamRequest(path('Hang'), same, same, Buffer.from('x'));
		const ended = statusOf(call);
		assert.equal(String((await once(call, 'data'))[0]), 'begun');
		call.cancel();
		assert.equal((await ended).code, status.CANCELLED);
		assert.equal(await service.cancelled(), Number.POSITIVE_INFINITY);
		await workerFree(hub);
		assert.equal(String((await unary(client, 'Unary', Buffer.from('after'))).body), 'after');
	});
}

test('what gRPC needs of HTTP/2 reaches the upstream, and back', async (t) => {
	let seen: IncomingHttpHeaders = {};
	const server = createServer();
	server.on('stream', (stream, headers) => {
		seen = headers;
		stream.respond({ ':status': 200, 'content-type': 'application/grpc+proto' }, { waitForTrailers: true });
		stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'a%20b' }));
		stream.resume();
		stream.end(Buffer.from([0, 0, 0, 0, 0]));
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	t.after(() => void server.close());
	const { port } = await stack(t, [`h2c://127.0.0.1:${(server.address() as AddressInfo).port}`]);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	const headers = {
		te: 'trailers',
		'content-type': 'application/grpc+proto',
		'grpc-timeout': '1500m',
		'grpc-encoding': 'identity',
		'grpc-accept-encoding': 'gzip',
	};
	const body = Buffer.from([0, 0, 0, 0, 0]);
	const answer = await h2Ask(session, path('X'), { method: 'POST', headers, body });
	for (const [name, value] of Object.entries(headers)) assert.equal(seen[name], value, name);
	assert.equal(answer.headers['content-type'], 'application/grpc+proto');
	assert.equal(answer.trailers['grpc-status'], '0');
	assert.equal(answer.trailers['grpc-message'], 'a%20b');
});

test('errors of the hub are gRPC statuses with a message and Slime’s code', async (t) => {
	const { hub, port } = await stack(t, [], { hub: { appPassword: 'a password for apps' } });
	const client = clientOf(t, port);
	const refused = await unary(client, 'Unary', Buffer.from('x'));
	assert.equal(refused.error?.code, status.UNAUTHENTICATED);
	assert.deepEqual(refused.error?.metadata.get('slime-error'), ['unauthorized']);
	const metadata = new Metadata();
	metadata.set('authorization', 'Bearer a password for apps');
	const { error } = await unary(client, 'Unary', Buffer.from('x'), metadata);
	assert.equal(error?.code, status.UNAVAILABLE);
	assert.equal(error?.details, 'No agent is connected that may serve this request.');
	assert.deepEqual(error?.metadata.get('slime-error'), ['no_agent']);
	assert.deepEqual(error?.metadata.get('retry-after'), ['1']);
	assert.equal(hub.leased, 0);
	const upload = client.makeClientStreamRequest(path('Collect'), same, same, metadata, () => undefined);
	const ended = statusOf(upload);
	upload.write(Buffer.alloc(1000));
	assert.equal((await ended).code, status.UNAVAILABLE);
});

test('a hub’s error towards gRPC is one header section that ends the stream, towards others it is JSON', async (t) => {
	const { port } = await stack(t);
	const session = await h2Connect(t, `http://127.0.0.1:${port}`);
	for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;x=y']) {
		const answer = await h2Ask(session, '/', { method: 'POST', headers: { 'content-type': type }, body: 'x' });
		assert.equal(answer.status, 200);
		assert.equal(answer.headers['content-type'], 'application/grpc');
		assert.equal(answer.headers['grpc-status'], '14');
		assert.equal(answer.headers['slime-error'], 'no_agent');
		assert.equal(answer.body, '');
		assert.deepEqual({ ...answer.trailers }, {});
	}
	for (const type of ['application/grpc-web', 'application/json']) {
		const answer = await h2Ask(session, '/', { method: 'POST', headers: { 'content-type': type }, body: 'x' });
		assert.equal(answer.status, 503);
		assert.equal(answer.headers['grpc-status'], undefined);
	}
});

test('a call whose agent is lost in its middle never ends well', async (t) => {
	const service = await grpcService(t, ServerCredentials.createInsecure());
	const { port, join } = await stack(t);
	const agent = await join(`h2c://127.0.0.1:${service.port}`);
	const call = clientOf(t, port).makeServerStreamRequest(path('Hang'), same, same, Buffer.from('x'));
	const over = collect(call);
	await once(call, 'data');
	await agent.close();
	const { messages, end } = await over;
	assert.deepEqual(messages, ['begun']);
	assert.equal(end.code, status.INTERNAL);
});
