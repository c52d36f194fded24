/**
 * HTTP/1.1 requests none of whose body is here yet. undici sends a head with the first bytes of its body, so an app that waits for the
 * answer's head before it sends any would wait for ever. A moment of it costs nothing, and most bodies follow their head at once; after
 * that the head goes out by itself, another way.
 */
import type { FieldList } from '../h2/protocol.ts';
import type { UpstreamExchange, UpstreamSink } from './upstream-client.ts';
import { DeferredExchange } from './upstream-deferred.ts';

const MOMENT_MS = 20;

export class LateBodyExchange extends DeferredExchange {
	readonly #withBody: () => UpstreamExchange;
	readonly #timer: NodeJS.Timeout;

	/**
	 * @param withBody sends the request whose body begins now
	 * @param headFirst sends the head of the request whose body will begin later
	 */
	constructor(sink: UpstreamSink, withBody: () => UpstreamExchange, headFirst: () => UpstreamExchange) {
		super(sink);
		this.#withBody = withBody;
		this.#timer = setTimeout(() => this.start(headFirst), MOMENT_MS);
	}

	override write(chunk: Buffer): void {
		this.#begin();
		super.write(chunk);
	}

	override finish(trailers?: FieldList): void {
		this.#begin();
		super.finish(trailers);
	}

	override cancel(): void {
		clearTimeout(this.#timer);
		super.cancel();
	}

	#begin(): void {
		clearTimeout(this.#timer);
		this.start(this.#withBody);
	}
}
