/** Names that are looked up in this process: what the test says, and not the system. */
import dns from 'node:dns';
import { isIP } from 'node:net';
import type { TestContext } from 'node:test';

export interface FakeName {
	/** IP addresses; none for a name server that does not answer. */
	addresses: readonly string[];
	/** How often it was looked up. */
	asked: number;
}

/** Every other name is looked up as always. */
export function fakeName(context: TestContext, name: string, addresses: readonly string[] = []): FakeName {
	const { lookup } = dns;
	const fake: FakeName = { addresses, asked: 0 };
	const answer = (asked: string, ...rest: unknown[]) => {
		if (asked !== name) return lookup(asked, ...(rest as [never, never]));
		fake.asked++;
		const tell = rest.at(-1) as (...result: unknown[]) => void;
		const all = rest.length > 1 && (rest[0] as { all?: boolean }).all;
		const found = fake.addresses.map((address) => ({ address, family: isIP(address) }));
		const [first] = found;
		setImmediate(() => {
			if (first !== undefined) return all ? tell(null, found) : tell(null, first.address, first.family);
			const failure = new Error(`getaddrinfo EAI_AGAIN ${name}`);
			return tell(Object.assign(failure, { code: 'EAI_AGAIN', syscall: 'getaddrinfo' }));
		});
	};
	// A mock would keep every call, and with it the socket that asked.
	dns.lookup = answer as typeof lookup;
	context.after(() => {
		dns.lookup = lookup;
	});
	return fake;
}
