/** HTTP/2 requests that could have another length in HTTP/1.1: H2.CL, H2.TE and H2.0, fields of a connection, trailers. */
import { GET, POST, REFUSED, RESET, SMUGGLED, served } from './http2-parts.ts';
import type { Http2Row } from './rows.ts';

/** Found out behind a head that is right, so it may have gone on by then: never as a whole request. */
const BROKEN = { outcome: 'reset', effect: 'no whole request' } as const;

/** H2.CL, H2.TE and H2.0: RFC 9113 sections 8.1.1 and 8.2.2. */
const framing: readonly Http2Row[] = [
	{ name: 'a length', fields: [...POST, 'content-length', '3'], data: ['abc'], ...served('abc') },
	{ name: 'a body without a length', fields: POST, data: ['abc'], ...served('abc') },
	{ name: 'a body in two frames', fields: [...POST, 'content-length', '6'], data: ['abc', 'def'], ...served('abcdef') },
	{ name: 'an empty frame', fields: POST, data: [''], ...served('') },
	{ name: 'a length of zero, no frame', fields: [...POST, 'content-length', '0'], ...served('') },
	{ name: 'a request as a body', fields: POST, data: [SMUGGLED], ...served(SMUGGLED) },
	{ name: 'a request as the body of GET', fields: GET, data: [SMUGGLED], ...served(SMUGGLED) },
	{
		name: 'H2.CL: a length of zero before a request',
		fields: [...POST, 'content-length', '0'],
		data: [SMUGGLED],
		...BROKEN,
	},
	{
		name: 'H2.CL: a length that is too short',
		fields: [...POST, 'content-length', '3'],
		data: [`abc${SMUGGLED}`],
		...BROKEN,
	},
	{
		name: 'H2.CL: a length that is too short, in frames',
		fields: [...POST, 'content-length', '3'],
		data: ['abc', SMUGGLED],
		announced: 'abc',
		...BROKEN,
	},
	{ name: 'H2.CL: a length that is too long', fields: [...POST, 'content-length', '100'], data: ['abc'], ...BROKEN },
	{ name: 'H2.CL: a length without a body', fields: [...POST, 'content-length', '3'], ...RESET },
	{ name: 'H2.CL: a length of GET', fields: [...GET, 'content-length', '0'], data: [SMUGGLED], ...BROKEN },
	{
		name: 'a length twice, the same',
		fields: [...POST, 'content-length', '3', 'content-length', '3'],
		data: ['abc'],
		...REFUSED,
	},
	{ name: 'two lengths', fields: [...POST, 'content-length', '3', 'content-length', '4'], data: ['abc'], ...RESET },
	{
		name: 'two lengths, the second zero',
		fields: [...POST, 'content-length', '3', 'content-length', '0'],
		data: ['abc'],
		...RESET,
	},
	...[
		'3, 3',
		'+3',
		'-3',
		'3.0',
		'0x3',
		'3 ',
		' 3',
		'',
		'3a',
		'1e1',
		'1_0',
		'3,',
		'9'.repeat(16),
		'9'.repeat(400),
		'\xb3',
	].map(
		(length): Http2Row => ({
			name: `the length ${JSON.stringify(length).slice(0, 30)}`,
			fields: [...POST, 'content-length', length],
			data: ['abc'],
			...RESET,
		}),
	),
	{ name: 'a length in another case', fields: [...POST, 'Content-Length', '3'], data: ['abc'], ...RESET },
	...['chunked', 'Chunked', 'identity', 'gzip, chunked', '', ' chunked', 'x'].map(
		(coding): Http2Row => ({
			name: `H2.TE: ${JSON.stringify(coding)}`,
			fields: [...POST, 'transfer-encoding', coding],
			data: [`0\r\n\r\n${SMUGGLED}`],
			...RESET,
		}),
	),
	{
		name: 'H2.TE with a length',
		fields: [...POST, 'transfer-encoding', 'chunked', 'content-length', '5'],
		data: ['0\r\n\r\n'],
		...RESET,
	},
	{ name: 'H2.TE in another case', fields: [...POST, 'Transfer-Encoding', 'chunked'], data: ['0\r\n\r\n'], ...RESET },
	{ name: 'H2.TE without a body', fields: [...POST, 'transfer-encoding', 'chunked'], ...RESET },
	{
		name: 'a chunked body that is none',
		fields: POST,
		data: [`0\r\n\r\n${SMUGGLED}`],
		...served(`0\r\n\r\n${SMUGGLED}`),
	},
	...['100-continue', '100-Continue', 'x', 'x, 100-continue', ''].map(
		(expectation): Http2Row => ({
			name: `a request as a body behind expect: ${expectation}`,
			fields: [...POST, 'expect', expectation, 'content-length', String(SMUGGLED.length)],
			data: [SMUGGLED],
			...served(SMUGGLED),
		}),
	),
	{
		name: 'a coding with an underscore',
		fields: [...POST, 'transfer_encoding', 'chunked'],
		data: ['abc'],
		...served('abc'),
	},
];

/** RFC 9113 section 8.2.2. */
const connectionSpecific: readonly Http2Row[] = [
	...[
		['connection', 'close'],
		['connection', 'transfer-encoding'],
		['connection', 'keep-alive, x'],
		['keep-alive', 'timeout=1'],
		['proxy-connection', 'keep-alive'],
		['upgrade', 'websocket'],
		['upgrade', 'h2c'],
		['te', 'gzip'],
		['te', 'trailers, chunked'],
		['te', 'chunked'],
	].map(
		([name = '', value = '']): Http2Row => ({
			name: `the connection-specific field ${name}: ${value}`,
			fields: [...GET, name, value],
			...RESET,
		}),
	),
	{ name: 'te: trailers', fields: [...GET, 'te', 'trailers'], ...served(''), sees: ['te', 'trailers'] },
	{ name: 'http2-settings', fields: [...GET, 'http2-settings', 'AAAA'], ...served(''), sees: ['http2-settings', null] },
	{ name: 'a field of Slime', fields: [...GET, 'slime-started', '0'], ...served(''), sees: ['slime-started', null] },
	{
		name: 'proxy-authorization',
		fields: [...GET, 'proxy-authorization', 'x'],
		...served(''),
		sees: ['proxy-authorization', null],
	},
	{
		name: 'x-forwarded-for',
		fields: [...GET, 'x-forwarded-for', '6.6.6.6'],
		...served(''),
		sees: ['x-forwarded-for', '127.0.0.1'],
	},
];

const CHUNKS = { fields: [...POST, 'trailer', 'x-t'], data: ['abc'] };
const trailers: readonly Http2Row[] = [
	{ name: 'a trailer', ...CHUNKS, trailers: ['x-t', '1'], ...served('abc') },
	{
		name: 'a trailer that ends a length',
		fields: [...POST, 'content-length', '3'],
		data: ['abc'],
		trailers: ['x-t', '1'],
		...served('abc'),
	},
	{
		name: 'a trailer behind too few bytes',
		fields: [...POST, 'content-length', '4'],
		data: ['abc'],
		trailers: ['x-t', '1'],
		...BROKEN,
	},
	...[
		'content-length',
		'host',
		'authorization',
		'cookie',
		'proxy-authorization',
		'trailer',
		'x-forwarded-for',
		'slime-scope',
		'slime-started',
	].map(
		(name): Http2Row => ({
			name: `the trailer ${name}`,
			...CHUNKS,
			trailers: [name, '0'],
			outcome: 400,
			effect: 'no whole request',
		}),
	),
	...['transfer-encoding', 'connection', 'upgrade', ':path', ':status', 'X-T', 'x t', 'x\r\ny', ''].map(
		(name): Http2Row => ({
			name: `the trailer ${JSON.stringify(name)}`,
			...CHUNKS,
			trailers: [name, 'chunked'],
			...BROKEN,
		}),
	),
	...['1\r\nx: y', '1\n', '1\0', ' 1'].map(
		(value): Http2Row => ({
			name: `a trailer of ${JSON.stringify(value)}`,
			...CHUNKS,
			trailers: ['x-t', value],
			...BROKEN,
		}),
	),
	{ name: 'a trailer of control characters', ...CHUNKS, trailers: ['x-t', 'a\x01b'], ...served('abc') },
];

export const HTTP2_FRAMING: readonly Http2Row[] = [...framing, ...connectionSpecific, ...trailers];
