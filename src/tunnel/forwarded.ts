/**
 * What an upstream is told of where a request came from: X-Forwarded-For, -Host and -Proto, and Forwarded (RFC 7239). What strangers
 * say is replaced, what trusted proxies say is extended by one hop. Pure.
 */
import type { FieldList } from '../h2/protocol.ts';

/** The hop that the hub itself sees. */
export interface Hop {
	readonly address: string;
	readonly host: string;
	readonly proto: 'http' | 'https';
}

/** RFC 7239 section 4: elements of `name=token` or `name="quoted"`. */
const PAIR = String.raw`[!#$%&'*+\-.^_\`|~0-9A-Za-z]+=(?:[!#$%&'*+\-.^_\`|~0-9A-Za-z]+|"(?:[^"\\]|\\.)*")`;
const FORWARDED = new RegExp(`^${PAIR}(?:;${PAIR})*(?:[ \\t]*,[ \\t]*${PAIR}(?:;${PAIR})*)*$`);
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9\-._~]+)(?::[0-9]*)?$/i;
const PROTO = /^[a-z][a-z0-9+.-]{0,31}$/i;

/** Such fields of one request, as they came. */
export class Forwarding {
	#for = '';
	#host: string | undefined;
	#proto: string | undefined;
	#forwarded = '';

	/** @param name in lower case, one of the four */
	add(name: string, value: string): void {
		if (name === 'forwarded') this.#forwarded = joined(this.#forwarded, value);
		else if (name === 'x-forwarded-for') this.#for = joined(this.#for, value);
		else if (name === 'x-forwarded-host') this.#host ??= value;
		else if (name === 'x-forwarded-proto') this.#proto ??= value;
	}

	/**
	 * Appends the fields for the upstream. Of hosts and protocols those of the first hop are kept.
	 * @param trusted whether what came is believed
	 */
	appendTo(fields: FieldList, hop: Hop, trusted: boolean): void {
		const before = trusted ? this.#for : '';
		const host = trusted ? firstOf(this.#host, HOST) : undefined;
		const proto = trusted ? firstOf(this.#proto, PROTO) : undefined;
		fields.push(
			'x-forwarded-for',
			joined(before, hop.address),
			'x-forwarded-host',
			host ?? hop.host,
			'x-forwarded-proto',
			proto ?? hop.proto,
		);
		if (this.#forwarded === '') return;
		// Behind a quote that is never closed the new element could not be found.
		const kept = trusted && FORWARDED.test(this.#forwarded) ? this.#forwarded : '';
		fields.push('forwarded', joined(kept, element(hop)));
	}
}

function element({ address, host, proto }: Hop): string {
	const node = address.includes(':') ? `"[${address}]"` : address;
	return `for=${node};host="${host.replace(/["\\]/g, '')}";proto=${proto}`;
}

function joined(before: string, value: string): string {
	return before === '' ? value : `${before}, ${value}`;
}

function firstOf(list: string | undefined, form: RegExp): string | undefined {
	const first = list?.split(',', 1)[0]?.trim();
	return first !== undefined && form.test(first) ? first : undefined;
}
