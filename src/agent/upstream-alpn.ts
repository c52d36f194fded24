/** https upstreams: asks once which protocol the upstream speaks, remembers it, and asks again when connecting fails. */
import type { FieldList } from '../h2/protocol.ts';
import type { UpstreamCall, UpstreamClient, UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { connectError } from './upstream-errors.ts';

export interface AlpnOptions {
	readonly ask: () => Promise<'h2' | 'http/1.1'>;
	readonly http1: UpstreamClient;
	readonly http2: UpstreamClient;
}

export class AlpnUpstream implements UpstreamClient {
	readonly #options: AlpnOptions;
	#known: UpstreamClient | null = null;
	#asking: Promise<UpstreamClient> | null = null;

	constructor(options: AlpnOptions) {
		this.#options = options;
	}

	send(call: UpstreamCall, sink: UpstreamSink): UpstreamExchange {
		if (this.#known !== null) return this.#known.send(call, sink);
		const exchange = new PendingExchange(call, sink);
		this.#ask().then(
			(client) => exchange.sendTo(client),
			(error: Error) => exchange.fail(error),
		);
		return exchange;
	}

	close(): void {
		this.#options.http1.close();
		this.#options.http2.close();
	}

	#ask(): Promise<UpstreamClient> {
		const { ask, http1, http2 } = this.#options;
		this.#asking ??= ask().then(
			(protocol) => {
				this.#known = protocol === 'h2' ? http2 : http1;
				return this.#known;
			},
			(error) => {
				this.#asking = null;
				throw error;
			},
		);
		return this.#asking;
	}
}

/** A request whose upstream's protocol is not known yet. */
class PendingExchange implements UpstreamExchange {
	readonly #call: UpstreamCall;
	readonly #sink: UpstreamSink;
	#exchange: UpstreamExchange | null = null;
	#early: Buffer[] = [];
	#finished: { readonly trailers: FieldList | undefined } | null = null;
	#cancelled = false;

	constructor(call: UpstreamCall, sink: UpstreamSink) {
		this.#call = call;
		this.#sink = sink;
	}

	sendTo(client: UpstreamClient): void {
		if (this.#cancelled) return;
		this.#exchange = client.send(this.#call, this.#sink);
		for (const chunk of this.#early) this.#exchange.write(chunk);
		this.#early = [];
		if (this.#finished !== null) this.#exchange.finish(this.#finished.trailers);
	}

	fail(error: Error): void {
		if (this.#cancelled) return;
		this.#cancelled = true;
		this.#sink.onFailure(connectError(error), false);
		this.#sink.onReleased();
	}

	write(chunk: Buffer): void {
		if (this.#exchange !== null) this.#exchange.write(chunk);
		else this.#early.push(chunk);
	}

	finish(trailers?: FieldList): void {
		if (this.#exchange !== null) this.#exchange.finish(trailers);
		else this.#finished = { trailers };
	}

	resume(): void {
		this.#exchange?.resume();
	}

	cancel(): void {
		if (this.#exchange !== null) {
			this.#exchange.cancel();
			return;
		}
		if (this.#cancelled) return;
		this.#cancelled = true;
		this.#sink.onReleased();
	}
}
