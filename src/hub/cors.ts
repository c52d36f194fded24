/**
 * Cross-origin requests of browsers, where the hub decides about them (Fetch standard, section 3.2): answers to preflights, and the
 * fields of every response. An upstream's own word about it is then replaced.
 */
import { type CorsOptions, corsFault } from '../config/cors.ts';
import { UsageError } from '../shared/errors.ts';
import type { AppRequest, ResponseDecorator } from './app-request.ts';

const OWN = /^access-control-/;

export class Cors {
	readonly #options: CorsOptions;
	readonly #any: boolean;
	readonly #denied: OriginFields;
	readonly #granted = new Map<string, OriginFields>();

	/** @throws UsageError for what would let every site act in its visitors' names */
	constructor(options: CorsOptions) {
		this.#options = options;
		this.#any = options.origins.includes('*');
		const fault = corsFault(options);
		if (fault !== undefined) throw new UsageError(`cors.${fault.key}: ${fault.text}`);
		const shared = options.credentials ? ['access-control-allow-credentials', 'true'] : [];
		if (options.exposedHeaders.length > 0) {
			shared.push('access-control-expose-headers', options.exposedHeaders.join(', '));
		}
		this.#denied = new OriginFields([], !this.#any);
		for (const origin of options.origins) {
			this.#granted.set(origin, new OriginFields(['access-control-allow-origin', origin, ...shared], !this.#any));
		}
	}

	/** What the response to a request of this origin says; without an origin it is no cross-origin request. */
	decoratorFor(origin: string | undefined): ResponseDecorator {
		return this.#granted.get(this.#any ? '*' : (origin ?? '')) ?? this.#denied;
	}

	/**
	 * All fields of the answer to a preflight: name, value … in lower case. What is not allowed is left out, and the browser then
	 * sends no request.
	 */
	preflight(app: AppRequest): string[] {
		const { methods, headers, maxAge } = this.#options;
		const fields = ['vary', 'Access-Control-Request-Method, Access-Control-Request-Headers'];
		const decorator = this.decoratorFor(app.field('origin'));
		decorator.decorate(fields);
		if (decorator === this.#denied) return fields;
		// A star would not mean Authorization, nor anything with credentials, so what was asked for is named.
		const method = methods.includes('*')
			? wellFormed(app.field('access-control-request-method'), NAME)
			: methods.join(', ');
		if (method) fields.push('access-control-allow-methods', method);
		const names = headers.includes('*')
			? wellFormed(app.field('access-control-request-headers'), NAMES)
			: headers.join(', ');
		if (names) fields.push('access-control-allow-headers', names);
		fields.push('access-control-max-age', String(Math.floor(maxAge / 1000)));
		return fields;
	}
}

/** RFC 9110 section 5.6.2, and a list of such. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NAMES = /^[!#$%&'*+\-.^_`|~0-9A-Za-z, \t]+$/;

function wellFormed(text: string | undefined, form: RegExp): string | undefined {
	return text !== undefined && form.test(text) ? text : undefined;
}

/** Whether a browser asks first if it may send a request (Fetch standard, CORS-preflight request). */
export function isPreflight(app: AppRequest): boolean {
	return (
		app.method === 'OPTIONS' &&
		app.field('origin') !== undefined &&
		app.field('access-control-request-method') !== undefined
	);
}

class OriginFields implements ResponseDecorator {
	readonly #fields: readonly string[];
	readonly #varies: boolean;

	/** @param varies whether responses to other origins differ */
	constructor(fields: readonly string[], varies: boolean) {
		this.#fields = fields;
		this.#varies = varies;
	}

	decorate(fields: string[]): void {
		let kept = 0;
		let vary = -1;
		for (let i = 0; i < fields.length; i += 2) {
			const name = fields[i] as string;
			if (OWN.test(name)) continue;
			if (name === 'vary') vary = kept;
			fields[kept] = name;
			fields[kept + 1] = fields[i + 1] as string;
			kept += 2;
		}
		fields.length = kept;
		fields.push(...this.#fields);
		if (!this.#varies) return;
		if (vary < 0) fields.push('vary', 'Origin');
		else if (!/(?:^|,)\s*(?:origin|\*)\s*(?:,|$)/i.test(fields[vary + 1] as string)) fields[vary + 1] += ', Origin';
	}
}
