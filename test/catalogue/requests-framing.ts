/** HTTP/1 requests whose length is doubtful, and those that only look so: Content-Length, Transfer-Encoding, chunks, trailers. */
import type { RequestRow } from './rows.ts';

const POST = 'POST /f HTTP/1.1\r\nHost: a\r\n';
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`;
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const REFUSED = [400, 'nothing'] as const;
/** Its head is right, so it may have gone on before the fault came: never as a whole request. */
const BROKEN = [400, 'no whole request'] as const;
const served = (body: string, target = '/f') => [200, { target, body }] as const;

/** Content-Length (RFC 9112 section 6.3). */
/** A tab behind a value is no part of it (RFC 9110 section 5.5); the parser of Node refuses one behind a length until its version 9.4. */
const [major = 0, minor = 0] = (process.versions.llhttp ?? '').split('.').map(Number);
const TABS = major > 9 || (major === 9 && minor >= 4);

const lengths: readonly RequestRow[] = [
	['a length', `${POST}Content-Length: 3\r\n\r\nabc`, ...served('abc')],
	['a length of zero', `${POST}Content-Length: 0\r\n\r\n`, ...served('')],
	['no length and no body', `${POST}\r\n`, ...served('')],
	['a length with leading zeros', `${POST}Content-Length: 003\r\n\r\nabc`, ...served('abc')],
	['a length with spaces around it', `${POST}Content-Length:  3  \r\n\r\nabc`, ...served('abc')],
	['a length with a tab behind it', `${POST}Content-Length: 3\t\r\n\r\nabc`, ...(TABS ? served('abc') : REFUSED)],
	['a length in an odd case', `${POST}cOnTeNt-LeNgTh: 3\r\n\r\nabc`, ...served('abc')],
	['a GET with a body', 'GET /f HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc', ...served('abc')],
	['a request as a body', `${POST}Content-Length: 35\r\n\r\n${SMUGGLED}`, ...served(SMUGGLED)],
	['a length twice, the same', `${POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, ...REFUSED],
	['two lengths', `${POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, ...REFUSED],
	['two lengths, the first zero', `${POST}Content-Length: 0\r\nContent-Length: 35\r\n\r\n${SMUGGLED}`, ...REFUSED],
	['two lengths, the second zero', `${POST}Content-Length: 35\r\nContent-Length: 0\r\n\r\n${SMUGGLED}`, ...REFUSED],
	['two lengths in two cases', `${POST}Content-Length: 3\r\ncontent-length: 4\r\n\r\nabcd`, ...REFUSED],
	['a list of lengths', `${POST}Content-Length: 3, 3\r\n\r\nabc`, ...REFUSED],
	['a list of two lengths', `${POST}Content-Length: 3, 4\r\n\r\nabcd`, ...REFUSED],
	['a length with a comma behind it', `${POST}Content-Length: 3,\r\n\r\nabc`, ...REFUSED],
	['a length with a plus', `${POST}Content-Length: +3\r\n\r\nabc`, ...REFUSED],
	['a length with a minus', `${POST}Content-Length: -3\r\n\r\nabc`, ...REFUSED],
	['a length of minus zero', `${POST}Content-Length: -0\r\n\r\n`, ...REFUSED],
	['a length in hex', `${POST}Content-Length: 0x3\r\n\r\nabc`, ...REFUSED],
	['a length in hex without a mark', `${POST}Content-Length: a\r\n\r\nabcdefghij`, ...REFUSED],
	['a length with a point', `${POST}Content-Length: 3.0\r\n\r\nabc`, ...REFUSED],
	['a length with an exponent', `${POST}Content-Length: 3e0\r\n\r\nabc`, ...REFUSED],
	['a length with an underscore', `${POST}Content-Length: 1_0\r\n\r\nabcdefghij`, ...REFUSED],
	['a length with a space in it', `${POST}Content-Length: 1 0\r\n\r\nabcdefghij`, ...REFUSED],
	['a length with a letter behind it', `${POST}Content-Length: 3b\r\n\r\nabc`, ...REFUSED],
	['a length in quotes', `${POST}Content-Length: "3"\r\n\r\nabc`, ...REFUSED],
	['a length with a NUL behind it', `${POST}Content-Length: 3\0\r\n\r\nabc`, ...REFUSED],
	['a length with a vertical tab before it', `${POST}Content-Length: \x0b3\r\n\r\nabc`, ...REFUSED],
	['a length with a no-break space before it', `${POST}Content-Length: \xa03\r\n\r\nabc`, ...REFUSED],
	['a length in full-width digits', `${POST}Content-Length: \xef\xbc\x93\r\n\r\nabc`, ...REFUSED],
	['an empty length', `${POST}Content-Length:\r\n\r\n`, ...REFUSED],
	['an empty length before a body', `${POST}Content-Length: \r\n\r\n${SMUGGLED}`, ...REFUSED],
	['a length of 2^53 + 1', `${POST}Content-Length: 9007199254740993\r\n\r\nabc`, ...REFUSED],
	['a length of 2^63', `${POST}Content-Length: 9223372036854775808\r\n\r\nabc`, ...REFUSED],
	['a length of 2^64', `${POST}Content-Length: 18446744073709551616\r\n\r\nabc`, ...REFUSED],
	['a length of 2^64 + 3', `${POST}Content-Length: 18446744073709551619\r\n\r\nabc`, ...REFUSED],
	['a length of 400 digits', `${POST}Content-Length: ${'9'.repeat(400)}\r\n\r\nabc`, ...REFUSED],
	['a length behind 30 zeros', `${POST}Content-Length: ${'0'.repeat(30)}3\r\n\r\nabc`, ...REFUSED],
	['a space before the colon of the length', `${POST}Content-Length : 3\r\n\r\nabc`, ...REFUSED],
	['a length that is folded', `${POST}Content-Length:\r\n 3\r\n\r\nabc`, ...REFUSED],
	['a length behind a bare CR', `${POST}X: y\rContent-Length: 3\r\n\r\nabc`, ...REFUSED],
	['a length in a name with an underscore', `${POST}Content_Length: 37\r\n\r\n`, ...served('')],
	[
		'a length that Connection names',
		`${POST}Connection: content-length\r\nContent-Length: 3\r\n\r\nabc`,
		...served('abc'),
	],
	// Where two readers disagree about whether the body is there before a 100, the one that does not wait takes it for a request.
	...['100-continue', '100-Continue', 'y 100-continue', '100-continue, y', '100-continue\r\nExpect: 100-continue'].map(
		(expectation): RequestRow => [
			`a request as a body behind Expect: ${expectation}`,
			`${POST}Expect: ${expectation}\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
			...served(SMUGGLED),
		],
	),
	[
		'a request as the body of GET behind Expect',
		`${POST.replace('POST', 'GET')}Expect: 100-continue\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
		...served(SMUGGLED),
	],
	['a length of zero behind Expect', `${POST}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n`, ...served('')],
	[
		'two lengths behind Expect',
		`${POST}Expect: 100-continue\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\nabc`,
		...REFUSED,
	],
	[
		'chunks behind Expect, with a length',
		`${POST}Expect: 100-continue\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		...REFUSED,
	],
	[
		'chunks behind Expect',
		`${POST}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...served('abc'),
	],
];

/** Transfer-Encoding (RFC 9112 section 6.1). */
const codings: readonly RequestRow[] = [
	['chunks', `${CHUNKED}3\r\nabc\r\n0\r\n\r\n`, ...served('abc')],
	['chunks without content', `${CHUNKED}0\r\n\r\n`, ...served('')],
	['chunked in capitals', `${POST}Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, ...served('abc')],
	[
		'chunked with white space around it',
		`${POST}Transfer-Encoding: \tchunked \r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...served('abc'),
	],
	['a length before chunks', `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['a length behind chunks', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, ...REFUSED],
	[
		'a length of zero with chunks',
		`${POST}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		...REFUSED,
	],
	['CL.TE', `${POST}Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, ...REFUSED],
	['TE.CL', `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n23\r\n${SMUGGLED}\r\n0\r\n\r\n`, ...REFUSED],
	['TE.CL in odd cases', `${POST}content-length: 4\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked twice in a list', `${POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	[
		'chunked, then identity',
		`${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
		...REFUSED,
	],
	[
		'identity, then chunked',
		`${POST}Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		...REFUSED,
	],
	['chunked, then something', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['something, then chunked', `${POST}Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked and nothing', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['identity', `${POST}Transfer-Encoding: identity\r\n\r\n`, ...REFUSED],
	['identity with a length', `${POST}Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc`, ...REFUSED],
	['gzip', `${POST}Transfer-Encoding: gzip\r\n\r\n`, ...REFUSED],
	['gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked, gzip', `${POST}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['an empty coding', `${POST}Transfer-Encoding:\r\n\r\n`, ...REFUSED],
	['an empty coding with a length', `${POST}Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc`, ...REFUSED],
	['xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunkedx', `${POST}Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunk', `${POST}Transfer-Encoding: chunk\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with a parameter', `${POST}Transfer-Encoding: chunked;x=y\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with a comma before it', `${POST}Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with a comma behind it', `${POST}Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked in quotes', `${POST}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked in single quotes', `${POST}Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked behind a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked before a form feed', `${POST}Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked behind a no-break space', `${POST}Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with a 8-bit letter', `${POST}Transfer-Encoding: chunKed\xff\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with the Kelvin sign', `${POST}Transfer-Encoding: chun\xe2\x84\xaaed\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with a NUL', `${POST}Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked that is folded', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked with a fold behind it', `${POST}Transfer-Encoding: chunked\r\n , identity\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['a space before the colon of chunked', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['a tab before the colon of chunked', `${POST}Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['a space before the name of chunked', `${POST}X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked behind a bare LF', `${POST}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked behind a bare CR', `${POST}X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked in a name with a NUL', `${POST}Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n`, ...REFUSED],
	['chunked in HTTP/1.0', 'POST /f HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', ...REFUSED],
	[
		'chunked in HTTP/1.0 that stays',
		'POST /f HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
		...REFUSED,
	],
	['chunked in a name with an underscore', `${POST}Transfer_Encoding: chunked\r\n\r\n`, ...served('')],
	[
		'chunked that Connection names',
		`${POST}Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
		...served('abc'),
	],
	[
		'a GET with chunks',
		'GET /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
		...served('abc'),
	],
];

/** The chunked form (RFC 9112 section 7.1). */
const chunks: readonly RequestRow[] = [
	['two chunks', `${CHUNKED}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, ...served('abcde')],
	['a size in capitals', `${CHUNKED}A\r\nabcdefghij\r\n0\r\n\r\n`, ...served('abcdefghij')],
	['a size with leading zeros', `${CHUNKED}0003\r\nabc\r\n000\r\n\r\n`, ...served('abc')],
	['an extension', `${CHUNKED}3;a=b\r\nabc\r\n0;c\r\n\r\n`, ...served('abc')],
	['an extension in quotes', `${CHUNKED}3;a="b c"\r\nabc\r\n0\r\n\r\n`, ...served('abc')],
	['a request in a chunk', `${CHUNKED}23\r\n${SMUGGLED}\r\n0\r\n\r\n`, ...served(SMUGGLED)],
	['a size that is no number', `${CHUNKED}zz\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size with a minus', `${CHUNKED}-3\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size with a plus', `${CHUNKED}+3\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size with 0x', `${CHUNKED}0x3\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['an empty size', `${CHUNKED}\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a space before the size', `${CHUNKED} 3\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a space behind the size', `${CHUNKED}3 \r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a tab behind the size', `${CHUNKED}3\t\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a space before an extension', `${CHUNKED}3 ;a\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size with an underscore', `${CHUNKED}0_3\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size with a point', `${CHUNKED}3.\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size with a NUL', `${CHUNKED}3\0\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size of 2^64 + 3', `${CHUNKED}10000000000000003\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size of 17 digits', `${CHUNKED}fffffffffffffffff\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size that ends with a bare LF', `${CHUNKED}3\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size that ends with a bare CR', `${CHUNKED}3\rabc\r\n0\r\n\r\n`, ...BROKEN],
	['a size that ends with CR CR LF', `${CHUNKED}3\r\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a chunk that ends with a bare LF', `${CHUNKED}3\r\nabc\n0\r\n\r\n`, ...BROKEN],
	['a chunk that ends with a bare CR', `${CHUNKED}3\r\nabc\r0\r\n\r\n`, ...BROKEN],
	['a chunk without an end', `${CHUNKED}3\r\nabc0\r\n\r\n`, ...BROKEN],
	['a chunk that ends with two other bytes', `${CHUNKED}3\r\nabcXX0\r\n\r\n`, ...BROKEN],
	['a chunk that is longer than it says', `${CHUNKED}3\r\nabcd\r\n0\r\n\r\n`, ...BROKEN],
	['a chunk that is shorter than it says', `${CHUNKED}4\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['a last chunk that ends with a bare LF', `${CHUNKED}3\r\nabc\r\n0\n\r\n`, ...BROKEN],
	['a body that ends with a bare LF', `${CHUNKED}3\r\nabc\r\n0\r\n\n`, ...BROKEN],
	['an extension with a bare LF', `${CHUNKED}3;a\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['an extension with a bare LF inside', `${CHUNKED}3;a\nb\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['an extension with a bare CR', `${CHUNKED}3;a\rb\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['an extension with a NUL', `${CHUNKED}3;a\0\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['an extension in quotes with a bare LF', `${CHUNKED}3;a="\n"\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	['an extension of 20 KB', `${CHUNKED}3;${'x'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`, ...BROKEN],
	[
		'many chunks with long extensions',
		`${CHUNKED}${`1;${'x'.repeat(10_000)}\r\na\r\n`.repeat(60)}0\r\n\r\n`,
		...BROKEN,
	],
];

const ANNOUNCED = `${POST}Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n`;

/** The trailer section (RFC 9110 section 6.5.1): what may not come late is left out, what could do harm refused. */
const trailers: readonly RequestRow[] = [
	['a trailer', `${CHUNKED}3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n`, ...served('abc')],
	...[
		'Via: 1.1 x',
		'Expect: 100-continue',
		'Content-Type: text/html',
		'Content-Encoding: gzip',
		'Content-Range: bytes 0-1/2',
	].map(
		(field): RequestRow => [`the trailer ${field}`, `${ANNOUNCED}3\r\nabc\r\n0\r\n${field}\r\n\r\n`, ...served('abc')],
	),
	...[
		'Content-Length: 37',
		'Transfer-Encoding: chunked',
		'Host: evil',
		'Connection: close',
		'Connection: x',
		'Keep-Alive: timeout=1',
		'Upgrade: websocket',
		'Trailer: X',
		'TE: trailers',
		'Authorization: Basic x',
		'Proxy-Authorization: Basic x',
		'Cookie: a=b',
		'X-Forwarded-For: 6.6.6.6',
		'Forwarded: for=6.6.6.6',
		'Slime-Started: 0',
		'Slime-Scope: x',
		'X-T: 1\r\nslime-agent-id: x',
	].map((field): RequestRow => [`the trailer ${field}`, `${ANNOUNCED}3\r\nabc\r\n0\r\n${field}\r\n\r\n`, ...BROKEN]),
	['a folded trailer', `${CHUNKED}3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n`, ...BROKEN],
	['a trailer with a space before its colon', `${CHUNKED}3\r\nabc\r\n0\r\nX : y\r\n\r\n`, ...BROKEN],
	['a trailer with a NUL', `${CHUNKED}3\r\nabc\r\n0\r\nX: \0\r\n\r\n`, ...BROKEN],
	['a trailer that ends with a bare LF', `${CHUNKED}3\r\nabc\r\n0\r\nX: y\n\r\n`, ...BROKEN],
	['trailers of 70 KB', `${CHUNKED}3\r\nabc\r\n0\r\nX: ${'y'.repeat(70_000)}\r\n\r\n`, ...BROKEN],
];

export const FRAMING: readonly RequestRow[] = [...lengths, ...codings, ...chunks, ...trailers];
