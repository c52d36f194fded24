/** What an upstream answers in HTTP/1.1 with odd status lines and fields, with 1xx, and where there is no body. */
import type { ResponseRow } from './rows.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`;
const EVIL = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
const REFUSED = { sees: 'upstream_protocol', connection: 'closed' } as const;
const whole = (body: string, status = 200, connection: 'closed' | 'kept' = 'kept') =>
	({ sees: { status, body }, connection }) as const;

const statusLines: readonly ResponseRow[] = [
	{ name: 'no reason', bytes: 'HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc', ...whole('abc') },
	{ name: 'an empty reason', bytes: 'HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc', ...whole('abc') },
	{ name: 'an odd status', bytes: 'HTTP/1.1 299 Odd\r\nContent-Length: 3\r\n\r\nabc', ...whole('abc', 299) },
	{ name: 'the status 999', bytes: 'HTTP/1.1 999 Odd\r\nContent-Length: 3\r\n\r\nabc', ...whole('abc', 999) },
	{ name: 'the status 000', bytes: 'HTTP/1.1 000 Odd\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'the status 099', bytes: 'HTTP/1.1 099 Odd\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'the status 20', bytes: 'HTTP/1.1 20 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'the status 2000', bytes: 'HTTP/1.1 2000 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'the status -200', bytes: 'HTTP/1.1 -200 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'the status 2x0', bytes: 'HTTP/1.1 2x0 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'no status', bytes: 'HTTP/1.1 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	// The reason goes no further.
	{ name: 'a reason with a NUL', bytes: 'HTTP/1.1 200 O\0K\r\nContent-Length: 3\r\n\r\nabc', ...whole('abc') },
	{ name: 'HTTP/2.0', bytes: 'HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'HTTP/1.2', bytes: 'HTTP/1.2 200 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'HTTP/0.9', bytes: 'HTTP/0.9 200 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'http/1.1 in small letters', bytes: 'http/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'ICY', bytes: 'ICY 200 OK\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'a body without a head', bytes: 'abc\r\n', ...REFUSED },
	{ name: 'a request', bytes: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', ...REFUSED },
	{ name: 'the frames of HTTP/2', bytes: '\0\0\0\x04\0\0\0\0\0', ...REFUSED },
	{ name: 'an alert of TLS', bytes: '\x15\x03\x03\0\x02\x02\x28', ...REFUSED },
	{ name: 'nothing', bytes: '', fin: true, sees: 'upstream_unreachable', connection: 'closed' },
	{
		name: 'half a head',
		bytes: 'HTTP/1.1 200 OK\r\nContent-Le',
		fin: true,
		sees: 'upstream_unreachable',
		connection: 'closed',
	},
	{ name: 'a bare LF behind the status line', bytes: 'HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: 'a bare CR behind the status line', bytes: 'HTTP/1.1 200 OK\rContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{
		name: 'HTTP/1.0 with a length',
		bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc',
		...whole('abc', 200, 'closed'),
	},
	{ name: 'HTTP/1.0 without a length', bytes: 'HTTP/1.0 200 OK\r\n\r\nabc', fin: true, ...whole('abc', 200, 'closed') },
	{
		name: 'HTTP/1.0 that stays',
		bytes: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc',
		...whole('abc'),
	},
	{
		name: 'HTTP/1.0 with chunks',
		bytes: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
		...whole('abc', 200, 'closed'),
	},
	{
		name: 'HTTP/1.0 with chunks that stays',
		bytes: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
		...whole('abc', 200, 'closed'),
	},
];

const fieldLines: readonly ResponseRow[] = [
	...[
		'X : y',
		'X\t: y',
		' X: y',
		'X',
		': y',
		'X: y\r\n z',
		'X: y\r\n\tz',
		'X:\r\n y',
		'X: y\0z',
		'X: y\rZ: z',
		'X: y\nZ: z',
		'X\0: y',
		'X Y: z',
		'X\xe9: y',
		'X: y\x07',
		':status: 500',
		'X: y\r\r',
	].map(
		(line): ResponseRow => ({
			name: `the line ${JSON.stringify(line)}`,
			bytes: `${OK}${line}\r\nContent-Length: 3\r\n\r\nabc`,
			...REFUSED,
		}),
	),
	{ name: 'an empty value', bytes: `${OK}X:\r\nContent-Length: 3\r\n\r\nabc`, ...whole('abc'), field: ['x', ''] },
	{
		name: '8-bit letters',
		bytes: `${OK}X: \xe9\xff\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc'),
		field: ['x', '\xe9\xff'],
	},
	{
		name: 'a field of Slime',
		bytes: `${OK}Slime-Error: busy\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc'),
		field: ['slime-error', null],
	},
	{
		name: 'a field that Connection names',
		bytes: `${OK}Connection: x\r\nX: y\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc'),
		field: ['x', null],
	},
	{
		name: 'a Date',
		bytes: `${OK}Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc'),
		field: ['date', 'Thu, 01 Jan 1970 00:00:00 GMT'],
	},
	{
		name: 'header fields of 300 KB',
		bytes: `${OK}X: ${'y'.repeat(300_000)}\r\nContent-Length: 3\r\n\r\nabc`,
		...REFUSED,
	},
];

const noBodies: readonly ResponseRow[] = [
	{ name: '204', bytes: 'HTTP/1.1 204 No Content\r\n\r\n', ...whole('', 204) },
	{
		name: '204 with a length of zero',
		bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
		...whole('', 204),
		field: ['content-length', null],
	},
	{ name: '204 with a length', bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc', ...REFUSED },
	{ name: '204 with a length and no body', bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n', ...REFUSED },
	{
		name: '204 with chunks',
		bytes: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
		...REFUSED,
	},
	{ name: '204 with a body', bytes: 'HTTP/1.1 204 No Content\r\n\r\nabc', ...whole('', 204, 'closed') },
	{ name: '204, then a second response', bytes: `HTTP/1.1 204 No Content\r\n\r\n${EVIL}`, ...whole('', 204, 'closed') },
	{
		name: '304 with a length',
		bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n',
		sees: { status: 304, body: '' },
		connection: 'closed',
		field: ['content-length', '3'],
	},
	{ name: '304 with a body', bytes: 'HTTP/1.1 304 Not Modified\r\n\r\nabc', ...whole('', 304, 'closed') },
	{
		name: '304, then a second response',
		bytes: `HTTP/1.1 304 Not Modified\r\n\r\n${EVIL}`,
		...whole('', 304, 'closed'),
	},
	{
		name: 'HEAD with a length',
		method: 'HEAD',
		bytes: `${OK}Content-Length: 3\r\n\r\n`,
		sees: { status: 200, body: '' },
		connection: 'closed',
		field: ['content-length', '3'],
	},
	{ name: 'HEAD with a body', method: 'HEAD', bytes: `${OK}Content-Length: 3\r\n\r\nabc`, ...whole('', 200, 'closed') },
	{
		name: 'HEAD, then a second response',
		method: 'HEAD',
		bytes: `${OK}Content-Length: 3\r\n\r\n${EVIL}`,
		...whole('', 200, 'closed'),
	},
	{ name: 'HEAD with chunks', method: 'HEAD', bytes: `${CHUNKED}`, ...whole('', 200, 'closed') },
	{
		name: 'HEAD with two lengths',
		method: 'HEAD',
		bytes: `${OK}Content-Length: 3\r\nContent-Length: 4\r\n\r\n`,
		...REFUSED,
	},
];

const informations: readonly ResponseRow[] = [
	{
		name: '100 that nobody waits for',
		bytes: `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
		...whole('abc'),
	},
	{
		name: '100 twice',
		bytes: `${'HTTP/1.1 100 Continue\r\nX: y\r\n\r\n'.repeat(2)}${OK}Content-Length: 3\r\n\r\nabc`,
		...whole('abc'),
	},
	{
		name: '100 behind an empty line',
		bytes: `\r\nHTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
		...whole('abc'),
	},
	{
		name: '100 and no more',
		bytes: 'HTTP/1.1 100 Continue\r\n\r\n',
		fin: true,
		sees: 'upstream_unreachable',
		connection: 'closed',
	},
	{
		name: '103',
		bytes: `HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
		...whole('abc'),
	},
	{
		name: '103 twenty times',
		bytes: `${'HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n'.repeat(20)}${OK}Content-Length: 3\r\n\r\nabc`,
		...whole('abc'),
	},
	{
		name: '103 with a length',
		bytes: `HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
		...whole('abc'),
	},
	{
		name: '103 with a body',
		bytes: `HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevil${OK}Content-Length: 3\r\n\r\nabc`,
		...REFUSED,
	},
	{
		name: '103 with chunks',
		bytes: `HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
		...REFUSED,
	},
	{
		name: '101 that nobody asked for',
		bytes: 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
		...REFUSED,
	},
	{
		name: '101 without an upgrade',
		bytes: `HTTP/1.1 101 Switching Protocols\r\n\r\n${OK}Content-Length: 3\r\n\r\nabc`,
		...REFUSED,
	},
	{
		name: '200 with an upgrade',
		bytes: `${OK}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc`,
		...whole('abc'),
		field: ['upgrade', null],
	},
	{
		name: '426 with an upgrade',
		bytes: 'HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc',
		...whole('abc', 426),
	},
	{
		name: '103 and no more',
		bytes: 'HTTP/1.1 103 Early Hints\r\n\r\n',
		fin: true,
		sees: 'upstream_unreachable',
		connection: 'closed',
	},
];

export const RESPONSE_HEADS: readonly ResponseRow[] = [...statusLines, ...fieldLines, ...noBodies, ...informations];
