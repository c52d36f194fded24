/**
 * A lenient service, as careless servers are: it takes bare LF, folded lines, lengths that contradict each other and whatever looks like
 * chunks, answers everything, and writes down each request that it believes to have seen, with its bytes.
 */
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { rawUpstream } from './stack.ts';

export interface SeenRequest {
	readonly method: string;
	readonly target: string;
	/** name, value, name, value … as they came, in latin1. */
	readonly fields: readonly string[];
	readonly body: string;
	readonly trailers: readonly string[];
	/** Why a careful server would have refused it; empty if it would not. */
	readonly doubts: readonly string[];
	/** Which of the connections it came on, from 0. */
	readonly connection: number;
}

export class RecordingUpstream {
	/** As `--upstream` takes it. */
	readonly address: string;
	readonly #connections: Reading[];

	private constructor(address: string, connections: Reading[]) {
		this.address = address;
		this.#connections = connections;
	}

	static async open(context: TestContext): Promise<RecordingUpstream> {
		const connections: Reading[] = [];
		const requests: SeenRequest[] = [];
		const address = await rawUpstream(context, (socket) => {
			connections.push(new Reading(socket, connections.length, requests));
		});
		const recording = new RecordingUpstream(address, connections);
		recording.requests = requests;
		return recording;
	}

	/** Whole requests, in the order in which they ended. */
	requests: readonly SeenRequest[] = [];

	/** Bytes that make no whole request, of every connection that has some. */
	get unfinished(): string[] {
		return this.#connections.map(({ rest }) => rest).filter((rest) => rest !== '');
	}
}

/** One connection. */
class Reading {
	/** What was not understood yet, latin1. */
	rest = '';
	readonly #socket: Socket;
	readonly #number: number;
	readonly #requests: SeenRequest[];

	constructor(socket: Socket, number: number, requests: SeenRequest[]) {
		this.#socket = socket;
		this.#number = number;
		this.#requests = requests;
		socket.on('data', (chunk) => {
			this.rest += chunk.toString('latin1');
			while (this.#readOne());
		});
	}

	#readOne(): boolean {
		const end = /\r?\n\r?\n/.exec(this.rest);
		if (end === null) return false;
		const [line = '', ...lines] = this.rest.slice(0, end.index).split(/\r?\n/);
		const doubts: string[] = [];
		if (/[^\r]\n/.test(this.rest.slice(0, end.index + end[0].length))) doubts.push('bare LF');
		if (!/^[!-~]+ [!-\xff]+ HTTP\/1\.1$/.test(line)) doubts.push(`the request line ${line}`);
		const fields = fieldsOf(lines, doubts);
		const named = (wanted: string) => fields.filter((_, i) => i % 2 === 1 && fields[i - 1]?.toLowerCase() === wanted);
		const lengths = named('content-length');
		const codings = named('transfer-encoding');
		if (named('host').length !== 1) doubts.push(`${named('host').length} Hosts`);
		if (lengths.length + codings.length > 1) doubts.push('more than one framing');
		const start = end.index + end[0].length;
		const chunked = codings.some((coding) => /chunked/i.test(coding));
		const body = chunked
			? chunksOf(this.rest, start, doubts)
			: plainBody(this.rest, start, Number.parseInt(lengths.at(-1) ?? '0', 10) || 0);
		if (body === null) return false;
		this.rest = this.rest.slice(body.end);
		const [method = '', target = ''] = line.split(/ +/);
		const connection = this.#number;
		this.#requests.push({ method, target, fields, body: body.text, trailers: body.trailers, doubts, connection });
		const answer = method === 'HEAD' ? '' : `served ${target}`;
		this.#socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length + 7}\r\n\r\n${answer}`, 'latin1');
		return true;
	}
}

function fieldsOf(lines: readonly string[], doubts: string[]): string[] {
	const fields: string[] = [];
	for (const line of lines) {
		const colon = line.indexOf(':');
		if (/^[ \t]/.test(line) && fields.length > 0) {
			doubts.push('a folded line');
			fields.push(`${fields.pop()} ${line.trim()}`);
			continue;
		}
		if (colon < 1 || /[^!#-'*+\-.0-9A-Z^-z|~]/.test(line.slice(0, colon))) doubts.push(`the field ${line}`);
		fields.push(line.slice(0, colon).trim(), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, ''));
	}
	return fields;
}

interface Body {
	readonly text: string;
	readonly trailers: string[];
	/** Where the next request begins. */
	readonly end: number;
}

/** null while it is not all there. */
function plainBody(bytes: string, start: number, length: number): Body | null {
	const end = start + length;
	return bytes.length < end ? null : { text: bytes.slice(start, end), trailers: [], end };
}

/** null while it is not all there. */
function chunksOf(bytes: string, start: number, doubts: string[]): Body | null {
	let text = '';
	let at = start;
	for (;;) {
		const lineEnd = bytes.indexOf('\n', at);
		if (lineEnd < 0) return null;
		const line = bytes.slice(at, lineEnd).trim();
		if (!/^[0-9a-f]+$/i.test(line)) doubts.push(`the chunk size ${line}`);
		const size = Number.parseInt(line, 16) || 0;
		at = lineEnd + 1;
		if (size === 0) break;
		if (bytes.length < at + size + 2) return null;
		text += bytes.slice(at, at + size);
		at += size + 2;
	}
	const rest = bytes.slice(at);
	const none = /^\r?\n/.exec(rest);
	if (none !== null) return { text, trailers: [], end: at + none[0].length };
	const end = /\r?\n\r?\n/.exec(rest);
	if (end === null) return null;
	const trailers = fieldsOf(rest.slice(0, end.index).split(/\r?\n/), doubts);
	return { text, trailers, end: at + end.index + end[0].length };
}
