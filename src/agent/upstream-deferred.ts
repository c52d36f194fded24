/** A request whose way to its upstream is not chosen yet: holds what comes until it is. */
import type { FieldList } from '../h2/protocol.ts';
import { SlimeError } from '../shared/errors.ts';
import type { UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { CANNOT_BE_SENT } from './upstream-errors.ts';

export class DeferredExchange implements UpstreamExchange {
	readonly #sink: UpstreamSink;
	#exchange: UpstreamExchange | null = null;
	#early: Buffer[] = [];
	#finished: { readonly trailers: FieldList | undefined } | null = null;
	#over = false;

	constructor(sink: UpstreamSink) {
		this.#sink = sink;
	}

	/** Any number of times; the first counts. @param send may throw for what cannot be sent */
	start(send: () => UpstreamExchange): void {
		if (this.#over || this.#exchange !== null) return;
		let exchange: UpstreamExchange;
		try {
			exchange = send();
		} catch (cause) {
			this.fail(new SlimeError('bad_request', CANNOT_BE_SENT, { cause }), true);
			return;
		}
		this.#exchange = exchange;
		for (const chunk of this.#early) exchange.write(chunk);
		this.#early = [];
		if (this.#finished !== null) exchange.finish(this.#finished.trailers);
	}

	/** @param started whether another agent might do no better */
	fail(error: SlimeError, started: boolean): void {
		if (this.#over || this.#exchange !== null) return;
		this.#over = true;
		this.#early = [];
		this.#sink.onFailure(error, started);
		this.#sink.onReleased();
	}

	write(chunk: Buffer): void {
		if (this.#exchange !== null) this.#exchange.write(chunk);
		else if (!this.#over) this.#early.push(chunk);
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
		if (this.#over) return;
		this.#over = true;
		this.#early = [];
		this.#sink.onReleased();
	}
}
