/** The applications of a ledger's load: HTTP/1.0, HTTP/1.1 and HTTP/2, each of which tells a whole answer from a cut one by its own rules. */
import { Agent, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { type BodyCheck, bodyOf, type Ledger, type Outcome } from './ledger.ts';
import { wasReset } from './stack.ts';

export const PROTOCOLS = ['http/1.0', 'http/1.1', 'http/2'] as const;
export const FRAMINGS = ['length', 'chunked', 'close'] as const;

/** One request, what its upstream is to answer, and whether its app waits for that. */
export interface Plan {
	readonly protocol: (typeof PROTOCOLS)[number];
	/** Bytes of the request's body; 0 for a GET. */
	readonly up: number;
	readonly upFraming?: 'length' | 'chunked';
	/** Bytes of the response's body, and how the upstream tells its end. */
	readonly down: number;
	readonly framing: (typeof FRAMINGS)[number];
	/** Milliseconds between events, 0 for as fast as it goes. */
	readonly pace?: number;
	/** Whether the upstream answers at once or after the request's body. */
	readonly when?: 'at-once' | 'after';
	/** Milliseconds after which the app leaves. */
	readonly leaveAfter?: number | undefined;
}

/** A request like those that applications make. */
export function anyPlan(below: (below: number) => number): Plan {
	const protocol = PROTOCOLS[below(3)] as Plan['protocol'];
	const framing = FRAMINGS[below(3)] as Plan['framing'];
	const upFraming = below(2) === 0 ? 'length' : 'chunked';
	const leaveAfter = below(10) === 0 ? below(40) : undefined;
	const base = { protocol, framing, upFraming, leaveAfter } as const;
	const kind = below(10);
	if (kind < 3) return { ...base, up: 0, down: 1 + below(2000) };
	if (kind < 5) return { ...base, up: 1 + below(60_000), down: 100, when: 'after' };
	if (kind < 7) return { ...base, up: 0, down: 200 * (5 + below(20)), pace: 2 + below(10) };
	const large = 200_000 + below(800_000);
	if (kind === 7) return { ...base, up: large, down: 100, when: 'after' };
	if (kind === 8) return { ...base, up: 0, down: large };
	// A server that closes its connection while the request is still coming resets it.
	return { ...base, up: large, down: large, when: framing === 'close' ? 'after' : 'at-once' };
}

/** How one request ended, as its client library tells. */
type Ending = { readonly code: string | undefined; readonly check: BodyCheck; readonly clean: boolean } | 'unreachable';

export interface AppsOptions {
	readonly port: number;
	readonly ledger: Ledger;
	readonly headers?: Readonly<Record<string, string>>;
}

export class Apps {
	readonly #options: AppsOptions;
	readonly #agent = new Agent({ keepAlive: true });
	#session: ClientHttp2Session | null = null;

	constructor(options: AppsOptions) {
		this.#options = options;
	}

	/** Makes one request and writes its end into the ledger. Never rejects. */
	async request(plan: Plan): Promise<Outcome> {
		const { ledger } = this.#options;
		const id = ledger.open(plan.up, plan.down);
		const leaving = new AbortController();
		const timer =
			plan.leaveAfter === undefined ? undefined : setTimeout(() => leaving.abort(), Math.max(1, plan.leaveAfter));
		const ask = plan.protocol === 'http/1.0' ? this.#http10 : plan.protocol === 'http/1.1' ? this.#http11 : this.#http2;
		const ending = await ask.call(this, id, plan, leaving.signal);
		clearTimeout(timer);
		if (leaving.signal.aborted) return ledger.ended(id, 'left');
		if (ending === 'unreachable') return ledger.ended(id, 'unreachable');
		if (ending.code !== undefined) return ledger.ended(id, ending.clean ? ending.code : 'cut');
		return ledger.answered(id, ending.check, ending.clean);
	}

	/** Closes what is kept alive. */
	close(): void {
		this.#agent.destroy();
		this.#session?.destroy();
		this.#session = null;
	}

	#path(id: number, { down, framing, pace = 0, when = 'at-once' }: Plan): string {
		return `/?id=${id}&down=${down}&framing=${framing}&pace=${pace}&when=${when}`;
	}

	#http11(id: number, plan: Plan, signal: AbortSignal): Promise<Ending> {
		const { port, headers } = this.#options;
		return new Promise((resolve) => {
			const req = request({
				host: '127.0.0.1',
				port,
				agent: this.#agent,
				signal,
				method: plan.up > 0 ? 'POST' : 'GET',
				path: this.#path(id, plan),
				headers: { ...headers, ...(plan.up > 0 && plan.upFraming !== 'chunked' && { 'content-length': plan.up }) },
			});
			// An error after the answer is told by the answer.
			let answered = false;
			req.on('error', () => {
				if (!answered) resolve('unreachable');
			});
			req.on('response', (res) => {
				answered = true;
				const check = this.#options.ledger.checking(id);
				const code = res.headers['slime-error'] as string | undefined;
				res.on('data', (chunk: Buffer) => code === undefined && check.add(chunk));
				res.on('error', () => undefined);
				res.once('close', () => resolve({ code, check, clean: res.complete }));
			});
			if (plan.up === 0) req.end();
			else {
				const body = bodyOf(id, plan.up);
				req.write(body.subarray(0, plan.up >> 1));
				req.end(body.subarray(plan.up >> 1));
			}
		});
	}

	#http2(id: number, plan: Plan, signal: AbortSignal): Promise<Ending> {
		const session = this.#connected();
		return new Promise((resolve) => {
			const req = session.request(
				{ ':method': plan.up > 0 ? 'POST' : 'GET', ':path': this.#path(id, plan), ...this.#options.headers },
				{ endStream: plan.up === 0, signal },
			);
			const check = this.#options.ledger.checking(id);
			let status = 0;
			let code: string | undefined;
			let clean = false;
			req.on('response', (headers) => {
				status = Number(headers[':status']);
				code = headers['slime-error'] as string | undefined;
			});
			req.on('data', (chunk: Buffer) => code === undefined && check.add(chunk));
			req.on('end', () => {
				// Node also ends the body of a stream that was reset; only its code tells.
				clean = req.rstCode === 0;
				// It waits for ever for the rest of an upload that was answered early, where the hub then lets go of both.
				if (!req.writableFinished) req.destroy();
			});
			req.on('error', () => undefined);
			req.once('close', () => resolve(status === 0 ? 'unreachable' : { code, check, clean }));
			if (plan.up > 0) req.end(bodyOf(id, plan.up));
		});
	}

	#connected(): ClientHttp2Session {
		if (this.#session === null || this.#session.closed || this.#session.destroyed) {
			const session = connectHttp2(`http://127.0.0.1:${this.#options.port}`, {
				settings: { initialWindowSize: 1024 * 1024 },
			});
			session.setMaxListeners(0);
			session.on('error', () => session.destroy());
			this.#session = session;
		}
		return this.#session;
	}

	#http10(id: number, plan: Plan, signal: AbortSignal): Promise<Ending> {
		const { port, headers = {} } = this.#options;
		return new Promise((resolve) => {
			const socket = connect({ host: '127.0.0.1', port });
			const check = this.#options.ledger.checking(id);
			let head = '';
			let length: number | undefined;
			let code: string | undefined;
			let body = 0;
			let begun = false;
			let ended = false;
			const take = (chunk: Buffer) => {
				body += chunk.length;
				if (code === undefined) check.add(chunk);
			};
			socket.on('data', (chunk) => {
				if (begun) {
					take(chunk);
					return;
				}
				head += chunk.toString('latin1');
				const end = head.indexOf('\r\n\r\n');
				if (end < 0) return;
				begun = true;
				length = numberIn(/^content-length: *(\d+)/im, head.slice(0, end + 2));
				code = /^slime-error: *(\S+)/im.exec(head.slice(0, end + 2))?.[1];
				take(Buffer.from(head.slice(end + 4), 'latin1'));
			});
			socket.on('error', () => undefined);
			socket.on('end', () => {
				ended = !wasReset(socket);
			});
			// RFC 1945 section 7.2.2: the length, or the connection's end.
			socket.on('close', (failed) => {
				const clean = length === undefined ? ended && !failed : body >= length;
				resolve(begun ? { code, check, clean } : 'unreachable');
			});
			signal.addEventListener('abort', () => socket.destroy(), { once: true });
			const fields = Object.entries({ Host: 'hub', ...headers, ...(plan.up > 0 && { 'Content-Length': plan.up }) });
			const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
			socket.write(`${plan.up > 0 ? 'POST' : 'GET'} ${this.#path(id, plan)} HTTP/1.0\r\n${lines}\r\n`);
			if (plan.up > 0) socket.write(bodyOf(id, plan.up));
		});
	}
}

function numberIn(pattern: RegExp, text: string): number | undefined {
	const found = pattern.exec(text)?.[1];
	return found === undefined ? undefined : Number(found);
}

export interface Driving {
	readonly apps: Apps;
	/** How many requests there are at a time. */
	readonly width: number;
	readonly next: () => Plan;
	/** Asked before each request. */
	readonly goesOn: () => boolean;
}

/** Keeps so many requests under way until told to stop, and waits for the last. */
export async function drive({ apps, width, next, goesOn }: Driving): Promise<void> {
	const one = async () => {
		while (goesOn()) {
			// An app that cannot connect tries again a little later.
			if ((await apps.request(next())) === 'unreachable') await new Promise((resolve) => setTimeout(resolve, 20));
		}
	};
	await Promise.all(Array.from({ length: width }, one));
}
