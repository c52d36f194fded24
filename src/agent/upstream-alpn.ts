/** https upstreams: asks once which protocol the upstream speaks, remembers it, and asks again when connecting fails. */
import type { UpstreamCall, UpstreamClient, UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { DeferredExchange } from './upstream-deferred.ts';
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
		const exchange = new DeferredExchange(sink);
		this.#ask().then(
			(client) => exchange.start(() => client.send(call, sink)),
			(error: Error) => exchange.fail(connectError(error), false),
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
