/** What an upstream answers in HTTP/1.1 when its lengths are in doubt, or when more than one response comes. */
import type { ResponseRow } from './rows.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
const REFUSED = { sees: 'upstream_protocol', connection: 'closed' } as const;
const CUT = { sees: 'cut', connection: 'closed' } as const;
const whole = (body: string, status = 200, connection: 'closed' | 'kept' = 'kept') =>
	({ sees: { status, body }, connection }) as const;

const lengths: readonly ResponseRow[] = [
	{ name: 'a length', bytes: `${OK}Content-Length: 3\r\n\r\nabc`, ...whole('abc'), field: ['content-length', '3'] },
	{ name: 'a length of zero', bytes: `${OK}Content-Length: 0\r\n\r\n`, ...whole(''), field: ['content-length', '0'] },
	{ name: 'a length with leading zeros', bytes: `${OK}Content-Length: 003\r\n\r\nabc`, ...whole('abc') },
	{ name: 'a length twice, the same', bytes: `${OK}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, ...REFUSED },
	{ name: 'two lengths', bytes: `${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, ...REFUSED },
	{ name: 'two lengths, the first zero', bytes: `${OK}Content-Length: 0\r\nContent-Length: 4\r\n\r\nabcd`, ...REFUSED },
	{ name: 'a list of lengths', bytes: `${OK}Content-Length: 3, 3\r\n\r\nabc`, ...REFUSED },
	{ name: 'a length with a plus', bytes: `${OK}Content-Length: +3\r\n\r\nabc`, ...REFUSED },
	{ name: 'a length with a minus', bytes: `${OK}Content-Length: -3\r\n\r\nabc`, ...REFUSED },
	{ name: 'a length in hex', bytes: `${OK}Content-Length: 0x3\r\n\r\nabc`, ...REFUSED },
	{ name: 'a length with a letter', bytes: `${OK}Content-Length: 3a\r\n\r\nabc`, ...REFUSED },
	{ name: 'an empty length', bytes: `${OK}Content-Length:\r\n\r\n`, ...REFUSED },
	{ name: 'a length of 2^64 + 3', bytes: `${OK}Content-Length: 18446744073709551619\r\n\r\nabc`, ...REFUSED },
	{ name: 'a length of 2^53 + 1', bytes: `${OK}Content-Length: 9007199254740993\r\n\r\nabc`, ...REFUSED },
	{ name: 'a length of 400 digits', bytes: `${OK}Content-Length: ${'9'.repeat(400)}\r\n\r\nabc`, ...REFUSED },
	{
		name: 'fewer bytes than the length of a connection that closes',
		bytes: `${OK}Connection: close\r\nContent-Length: 9\r\n\r\nabc`,
		fin: true,
		...CUT,
	},
	{ name: 'fewer bytes than the length', bytes: `${OK}Content-Length: 9\r\n\r\nabc`, fin: true, ...CUT },
	{ name: 'no bytes of a length', bytes: `${OK}Content-Length: 9\r\n\r\n`, fin: true, ...CUT },
	{ name: 'more bytes than the length', bytes: `${OK}Content-Length: 3\r\n\r\nabcdef`, ...whole('abc', 200, 'closed') },
	{
		name: 'a second response behind the first',
		bytes: `${OK}Content-Length: 3\r\n\r\nabc${EVIL}`,
		...whole('abc', 200, 'closed'),
	},
	{
		name: 'a second response behind an empty one',
		bytes: `${OK}Content-Length: 0\r\n\r\n${EVIL}`,
		...whole('', 200, 'closed'),
	},
	{ name: 'no length', bytes: `${OK}\r\nabc`, fin: true, ...whole('abc', 200, 'closed') },
	{ name: 'no length and no body', bytes: `${OK}\r\n`, fin: true, ...whole('', 200, 'closed') },
	{ name: 'no length, and a response as a body', bytes: `${OK}\r\n${EVIL}`, fin: true, ...whole(EVIL, 200, 'closed') },
	{
		name: 'a length that Connection names',
		bytes: `${OK}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc'),
		field: ['content-length', '3'],
	},
	{
		name: 'a connection that closes behind a length',
		bytes: `${OK}Connection: close\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc', 200, 'closed'),
	},
];

const codings: readonly ResponseRow[] = [
	{ name: 'chunks', bytes: `${CHUNKED}3\r\nabc\r\n0\r\n\r\n`, ...whole('abc') },
	{ name: 'two chunks', bytes: `${CHUNKED}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, ...whole('abcde') },
	{
		name: 'chunked in capitals',
		bytes: `${OK}Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...whole('abc'),
	},
	{ name: 'a chunk with an extension', bytes: `${CHUNKED}3;x=y\r\nabc\r\n0\r\n\r\n`, ...whole('abc') },
	{
		name: 'a length before chunks',
		bytes: `${OK}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{
		name: 'a length behind chunks',
		bytes: `${OK}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{
		name: 'a length of zero with chunks',
		bytes: `${OK}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{
		name: 'chunked twice',
		bytes: `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{
		name: 'chunked twice in a list',
		bytes: `${OK}Transfer-Encoding: chunked, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{ name: 'gzip, chunked', bytes: `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, ...REFUSED },
	{
		name: 'chunked, gzip',
		bytes: `${OK}Transfer-Encoding: chunked, gzip\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		fin: true,
		...REFUSED,
	},
	{ name: 'gzip', bytes: `${OK}Transfer-Encoding: gzip\r\n\r\nabc`, fin: true, ...REFUSED },
	{ name: 'identity', bytes: `${OK}Transfer-Encoding: identity\r\n\r\nabc`, fin: true, ...REFUSED },
	{
		name: 'identity with a length',
		bytes: `${OK}Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc`,
		...REFUSED,
	},
	{
		name: 'identity, then chunked',
		bytes: `${OK}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{ name: 'an empty coding', bytes: `${OK}Transfer-Encoding:\r\n\r\nabc`, fin: true, ...REFUSED },
	{ name: 'xchunked', bytes: `${OK}Transfer-Encoding: xchunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, fin: true, ...REFUSED },
	{ name: 'chunked behind a vertical tab', bytes: `${OK}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, ...REFUSED },
	{
		name: 'a space before the colon of chunked',
		bytes: `${OK}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
		...REFUSED,
	},
	{ name: 'chunked that is folded', bytes: `${OK}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, ...REFUSED },
	{
		name: 'chunks without an end on a connection that closes',
		bytes: `${OK}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
		fin: true,
		...CUT,
	},
	{ name: 'chunks without an end', bytes: `${CHUNKED}3\r\nabc\r\n`, fin: true, ...CUT },
	{ name: 'chunks that end within one', bytes: `${CHUNKED}5\r\nabc`, fin: true, ...CUT },
	{ name: 'chunks without the last empty line', bytes: `${CHUNKED}3\r\nabc\r\n0\r\n`, fin: true, ...CUT },
	{ name: 'chunks, then garbage', bytes: `${CHUNKED}3\r\nabc\r\n0\r\n\r\ngarbage`, ...whole('abc', 200, 'closed') },
	{
		name: 'chunks, then a second response',
		bytes: `${CHUNKED}3\r\nabc\r\n0\r\n\r\n${EVIL}`,
		...whole('abc', 200, 'closed'),
	},
	{ name: 'a size that is no number', bytes: `${CHUNKED}3\r\nabc\r\nzz\r\n`, ...CUT },
	{ name: 'a first size that is no number', bytes: `${CHUNKED}zz\r\n`, ...CUT },
	{ name: 'a size with a minus', bytes: `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`, ...CUT },
	{ name: 'a size with 0x', bytes: `${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n`, ...CUT },
	{ name: 'a size of 17 digits', bytes: `${CHUNKED}fffffffffffffffff\r\nabc\r\n0\r\n\r\n`, ...CUT },
	{ name: 'a size that ends with a bare LF', bytes: `${CHUNKED}3\nabc\r\n0\r\n\r\n`, ...CUT },
	{ name: 'a chunk without its end', bytes: `${CHUNKED}3\r\nabc0\r\n\r\n`, ...CUT },
	{ name: 'a chunk that is longer than it says', bytes: `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`, ...CUT },
	{ name: 'a chunk with a space behind its size', bytes: `${CHUNKED}3 \r\nabc\r\n0\r\n\r\n`, ...CUT },
	{ name: 'a trailer', bytes: `${CHUNKED}3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n`, ...whole('abc') },
	{ name: 'a trailer with a length', bytes: `${CHUNKED}3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n`, ...CUT },
	{
		name: 'a trailer with a coding',
		bytes: `${CHUNKED}3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n`,
		...whole('abc'),
	},
	{ name: 'a trailer of Slime', bytes: `${CHUNKED}3\r\nabc\r\n0\r\nSlime-Error: busy\r\n\r\n`, ...whole('abc') },
	{ name: 'a folded trailer', bytes: `${CHUNKED}3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n`, ...CUT },
];

export const RESPONSE_FRAMING: readonly ResponseRow[] = [...lengths, ...codings];
