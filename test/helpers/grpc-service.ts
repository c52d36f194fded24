/** A gRPC service without a schema: messages are bytes. It has a method of each kind, and tells what becomes of its calls. */
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import {
	Metadata,
	Server,
	type ServerCredentials,
	type ServerDuplexStream,
	type ServerReadableStream,
	type ServerUnaryCall,
	type ServerWritableStream,
	type ServiceDefinition,
	type sendUnaryData,
	status,
	type UntypedServiceImplementation,
} from '@grpc/grpc-js';

const same = (message: Buffer) => message;
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
	path: `/test.Service/${name}`,
	requestStream,
	responseStream,
	requestSerialize: same,
	requestDeserialize: same,
	responseSerialize: same,
	responseDeserialize: same,
});

const DEFINITION: ServiceDefinition = {
	unary: method('Unary', false, false),
	collect: method('Collect', true, false),
	count: method('Count', false, true),
	talk: method('Talk', true, true),
	fail: method('Fail', false, false),
	failLate: method('FailLate', false, true),
	hang: method('Hang', false, true),
};

/** Bytes of one message at most, towards it and from it. */
export const MOST_BYTES = 32 * 1024 * 1024;

export interface GrpcService {
	readonly port: number;
	/** Resolves when the next call of Hang was cancelled, and says how long it might have taken, in milliseconds. */
	cancelled(): Promise<number>;
}

/**
 * - Unary answers with its request; metadata `echo` comes back in the headers, `trailer` in the trailers
 * - Collect answers with all messages of the request in one
 * - Count answers with as many messages as its request says
 * - Talk answers each message at once
 * - Fail answers with NOT_FOUND and nothing else, FailLate with DATA_LOSS after two messages
 * - Hang sends one message and never ends
 */
export async function grpcService(context: TestContext, credentials: ServerCredentials): Promise<GrpcService> {
	const cancels: number[] = [];
	const waiting: Array<(left: number) => void> = [];
	const implementation: UntypedServiceImplementation = {
		unary(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
			const headers = new Metadata();
			for (const value of call.metadata.get('echo')) headers.add('echo', value);
			for (const value of call.metadata.get('echo-bin')) headers.add('echo-bin', value);
			call.sendMetadata(headers);
			const trailers = new Metadata();
			for (const value of call.metadata.get('trailer')) trailers.add('trailer-back', value);
			done(null, call.request, trailers);
		},
		collect(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
			const parts: Buffer[] = [];
			call.on('data', (part: Buffer) => parts.push(part));
			call.on('end', () => done(null, Buffer.concat(parts)));
		},
		async count(call: ServerWritableStream<Buffer, Buffer>) {
			const most = Number(call.request.toString());
			for (let i = 0; i < most; i++) if (!call.write(Buffer.from(`message ${i}`))) await once(call, 'drain');
			call.end();
		},
		talk(call: ServerDuplexStream<Buffer, Buffer>) {
			call.on('data', (part: Buffer) => call.write(Buffer.concat([Buffer.from('you said '), part])));
			call.on('end', () => call.end());
		},
		fail(_call: unknown, done: sendUnaryData<Buffer>) {
			const metadata = new Metadata();
			metadata.set('why', 'because');
			done({ code: status.NOT_FOUND, details: 'no such thing: 100 % ünknown', metadata });
		},
		failLate(call: ServerWritableStream<Buffer, Buffer>) {
			call.write(Buffer.from('one'));
			call.write(Buffer.from('two'));
			call.emit('error', { code: status.DATA_LOSS, details: 'the rest is lost' });
		},
		hang(call: ServerWritableStream<Buffer, Buffer>) {
			const deadline = call.getDeadline();
			const left = Number(deadline) - Date.now();
			call.on('cancelled', () => {
				const next = waiting.shift();
				if (next) next(left);
				else cancels.push(left);
			});
			call.write(Buffer.from('begun'));
		},
	};
	const server = new Server({ 'grpc.max_receive_message_length': MOST_BYTES });
	server.addService(DEFINITION, implementation);
	const port = await new Promise<number>((resolve, reject) => {
		server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
	});
	context.after(() => server.forceShutdown());
	return {
		port,
		cancelled: () => {
			const early = cancels.shift();
			return early !== undefined ? Promise.resolve(early) : new Promise((resolve) => waiting.push(resolve));
		},
	};
}
