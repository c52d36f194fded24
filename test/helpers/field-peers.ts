/** Applications and services, in HTTP/1.1 and HTTP/2, that send exactly these fields in this order and keep exactly what comes. */
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { Flag, FrameType } from '../../src/h2/protocol.ts';
import { RawPeer, settingsFrame } from './h2-peer.ts';
import { eventually, RawClient, rawUpstream } from './stack.ts';

/** Strings are latin1: one character is one byte. */
export interface FieldMessage {
	/** `GET /target` or `200`. */
	readonly line: string;
	/** name, value, name, value … without pseudo-header fields. */
	readonly fields: readonly string[];
	readonly body: string;
}

export interface FieldService {
	/** As `--upstream` takes it. */
	readonly address: string;
	readonly port: number;
	/** Requests that came. */
	readonly seen: FieldMessage[];
	/** What each request is answered with; Content-Length is among the fields if it has any. */
	answer: FieldMessage;
}

export interface FieldVersion {
	readonly name: 'HTTP/1.1' | 'HTTP/2';
	/** One request on a connection of its own. */
	ask(context: TestContext, port: number, host: string, request: FieldMessage): Promise<FieldMessage>;
	serve(context: TestContext): Promise<FieldService>;
}

const NOTHING: FieldMessage = { line: '200', fields: ['content-length', '0'], body: '' };

export const HTTP1: FieldVersion = {
	name: 'HTTP/1.1',
	async ask(context, port, host, { line, fields, body }) {
		const client = await RawClient.open(context, port);
		client.send(`${line} HTTP/1.1\r\nHost: ${host}\r\n${linesOf(fields)}\r\n${body}`);
		let answer: FieldMessage | null = null;
		await eventually(`an answer to ${line.slice(0, 80)}`, () => {
			answer = messageOf(client.received)?.message ?? null;
			return answer !== null;
		});
		client.socket.destroy();
		const { line: status, ...rest } = answer ?? NOTHING;
		return { line: status.split(' ')[1] ?? '', ...rest };
	},
	async serve(context) {
		const seen: FieldMessage[] = [];
		const address = await rawUpstream(context, (socket) => {
			let text = '';
			socket.on('data', (chunk) => {
				text += chunk.toString('latin1');
				for (let one = messageOf(text); one !== null; one = messageOf(text)) {
					text = text.slice(one.end);
					seen.push({ ...one.message, line: one.message.line.replace(/ HTTP\/1\.1$/, '') });
					const { line, fields, body } = service.answer;
					socket.write(`HTTP/1.1 ${line} Reason\r\n${linesOf(fields)}\r\n${body}`, 'latin1');
				}
			});
		});
		const service: FieldService = { address, port: Number(address.split(':')[1]), seen, answer: NOTHING };
		return service;
	},
};

/** An application that says in HTTP/2 what a test wants; its preface is sent. */
export async function http2App(context: TestContext, port: number): Promise<RawPeer> {
	const socket = connect(port, '127.0.0.1');
	context.after(() => socket.destroy());
	await once(socket, 'connect');
	socket.setNoDelay(true);
	const peer = new RawPeer(socket, 'client');
	peer.send(settingsFrame());
	return peer;
}

export const HTTP2: FieldVersion = {
	name: 'HTTP/2',
	async ask(context, port, host, { line, fields, body }) {
		const peer = await http2App(context, port);
		const [method = '', target = ''] = line.split(' ');
		const section = [':method', method, ':scheme', 'http', ':authority', host, ':path', target, ...lowerCased(fields)];
		sendMessage(peer, 1, section, body);
		await peer.until(() => ended(peer, 1));
		peer.socket.destroy();
		return messageOn(peer, 1);
	},
	async serve(context) {
		const seen: FieldMessage[] = [];
		const address = await rawUpstream(context, (socket) => {
			const peer = new RawPeer(socket, 'server');
			peer.send(settingsFrame());
			void answerStreams(peer, (streamId) => {
				seen.push(messageOn(peer, streamId));
				const { line, fields, body } = service.answer;
				sendMessage(peer, streamId, [':status', line, ...lowerCased(fields)], body);
			});
		});
		const port = Number(address.split(':')[1]);
		const service: FieldService = { address: `h2c://${address}`, port, seen, answer: NOTHING };
		return service;
	},
};

async function answerStreams(peer: RawPeer, answer: (streamId: number) => void): Promise<void> {
	for (let next = 1; !peer.ended; ) {
		if (ended(peer, next)) {
			answer(next);
			next += 2;
		} else {
			await peer.change();
		}
	}
}

function sendMessage(peer: RawPeer, streamId: number, section: string[], body: string): void {
	const whole = peer.headers(streamId, section, body === '');
	peer.send(...inFrames(whole), ...(body === '' ? [] : [peer.data(streamId, Buffer.from(body, 'latin1'), true)]));
}

/** HEADERS over 16 KiB need CONTINUATION (RFC 9113 section 6.10). */
function inFrames(headers: Buffer): Buffer[] {
	const most = 16_384;
	if (headers.length - 9 <= most) return [headers];
	const frames: Buffer[] = [];
	for (let at = 9; at < headers.length; at += most) {
		const payload = headers.subarray(at, at + most);
		const head = Buffer.from(headers.subarray(0, 9));
		head.writeUIntBE(payload.length, 0, 3);
		if (at > 9) head[3] = FrameType.CONTINUATION;
		const last = at + most >= headers.length ? Flag.END_HEADERS : 0;
		head[4] = at > 9 ? last : (headers[4] as number) - Flag.END_HEADERS + last;
		frames.push(Buffer.concat([head, payload]));
	}
	return frames;
}

function ended(peer: RawPeer, streamId: number): boolean {
	return peer.frames.some(
		({ type, flags, streamId: id }) =>
			id === streamId && (type === FrameType.HEADERS || type === FrameType.DATA) && (flags & Flag.END_STREAM) !== 0,
	);
}

function messageOn(peer: RawPeer, streamId: number): FieldMessage {
	const parts = peer.frames.filter(
		({ type, streamId: id }) => id === streamId && (type === FrameType.HEADERS || type === FrameType.CONTINUATION),
	);
	const block = Buffer.concat(parts.map(({ payload }) => payload));
	const section = [...peer.decoder.decode(block, 0, block.length)];
	const pseudo = new Map<string, string>();
	while (section[0]?.startsWith(':')) {
		const [name = '', value = ''] = section.splice(0, 2);
		pseudo.set(name, value);
	}
	const line = pseudo.get(':status') ?? `${pseudo.get(':method')} ${pseudo.get(':path')}`;
	return { line, fields: section, body: peer.bodyOf(streamId).toString('latin1') };
}

function linesOf(fields: readonly string[]): string {
	let text = '';
	for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
	return text;
}

function lowerCased(fields: readonly string[]): string[] {
	return fields.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text));
}

/** The first message of these bytes, its body as long as Content-Length says; null while it is not all there. */
function messageOf(text: string): { message: FieldMessage; end: number } | null {
	const headEnd = text.indexOf('\r\n\r\n');
	if (headEnd < 0) return null;
	const [line = '', ...lines] = text.slice(0, headEnd).split('\r\n');
	const fields = lines.flatMap((each) => {
		const colon = each.indexOf(':');
		return [each.slice(0, colon), each.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
	});
	const at = fields.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'content-length');
	const end = headEnd + 4 + (at < 0 ? 0 : Number(fields[at + 1]));
	return text.length < end ? null : { message: { line, fields, body: text.slice(headEnd + 4, end) }, end };
}
