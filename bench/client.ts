/** HTTP/1.1 by hand on a raw socket, so that the load generator costs less than what it measures. */
import { connect, type Socket } from 'node:net';

export class RawClient {
	readonly #socket: Socket;
	readonly #request: Buffer;
	#seen = 0;
	#expected = 0;
	#done: (() => void) | null = null;

	private constructor(socket: Socket, path: string) {
		this.#socket = socket;
		this.#request = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
		socket.on('data', (chunk) => this.#onData(chunk));
	}

	static async open(port: number, path: string): Promise<RawClient> {
		const socket = connect({ port, host: '127.0.0.1', noDelay: true });
		await new Promise<void>((resolve, reject) => {
			socket.once('connect', resolve);
			socket.once('error', reject);
		});
		return new RawClient(socket, path);
	}

	/** One request with an answer of known length; the microseconds it took. */
	async ask(): Promise<number> {
		const began = process.hrtime.bigint();
		this.#seen = 0;
		this.#expected = 0;
		const answered = new Promise<void>((resolve) => {
			this.#done = resolve;
		});
		this.#socket.write(this.#request);
		await answered;
		return Number(process.hrtime.bigint() - began) / 1000;
	}

	/** One request; resolves when the chunked answer has ended. */
	async stream(): Promise<void> {
		let tail = '';
		const ended = new Promise<void>((resolve, reject) => {
			this.#socket.on('data', (chunk) => {
				tail = (tail + chunk.toString('latin1')).slice(-5);
				if (tail === '0\r\n\r\n') resolve();
			});
			this.#socket.once('close', () => reject(new Error('the stream was cut')));
		});
		this.#socket.write(this.#request);
		await ended;
		this.close();
	}

	close(): void {
		this.#socket.destroy();
	}

	#onData(chunk: Buffer): void {
		if (this.#done === null) return;
		if (this.#expected === 0) {
			const head = chunk.toString('latin1');
			if (!head.startsWith('HTTP/1.1 200')) throw new Error(`not served: ${head.slice(0, 80)}`);
			const length = /content-length: (\d+)/i.exec(head);
			this.#expected = head.indexOf('\r\n\r\n') + 4 + Number(length?.[1] ?? 0);
		}
		this.#seen += chunk.length;
		if (this.#seen < this.#expected) return;
		const done = this.#done;
		this.#done = null;
		done();
	}
}
