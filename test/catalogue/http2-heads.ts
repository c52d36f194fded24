/** HTTP/2 requests that could become another HTTP/1.1 request, or two: CR and LF anywhere, split request lines, hosts told in several places. */
import type { Effect, Http2Outcome, Http2Row } from './rows.ts';

const pseudo = (method: string, path = '/h', authority = 'a', scheme = 'http'): string[] => [
	':method',
	method,
	':scheme',
	scheme,
	':authority',
	authority,
	':path',
	path,
];
const GET = pseudo('GET');
const POST = pseudo('POST');
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';
const RESET = { outcome: 'reset', effect: 'nothing' } as const;
const served = (body: string, target = '/h'): { outcome: Http2Outcome; effect: Effect } => ({
	outcome: 200,
	effect: { target, body },
});
const REFUSED = { outcome: 400, effect: 'nothing' } as const;

/** CR, LF, NUL and their like (RFC 9113 section 8.2.1). */
const injection: readonly Http2Row[] = [
	...[
		'x\r\ntransfer-encoding: chunked',
		'x\ntransfer-encoding: chunked',
		'x\rtransfer-encoding: chunked',
		`x\r\n\r\n${SMUGGLED}`,
		'x\r\n\r\n',
		'x\r\n',
		'x\n',
		'\r\nx',
		'x\0',
		'\0',
		' x',
		'x ',
		'\tx',
		'x\t',
	].map(
		(value): Http2Row => ({
			name: `the value ${JSON.stringify(value)}`,
			fields: [...POST, 'x', value],
			data: ['abc'],
			...RESET,
		}),
	),
	...['x\x01y', 'x\x07y', 'x\x0by', 'x\x0cy', 'x\x1by', 'x\x7fy', '\x85\x0b'].map(
		(value): Http2Row => ({ name: `the value ${JSON.stringify(value)}`, fields: [...GET, 'x', value], ...REFUSED }),
	),
	...[
		'x: y\r\ntransfer-encoding',
		`x: y\r\n\r\n${SMUGGLED}x`,
		'x\r\ny',
		'x\ny',
		'x\ry',
		'x\0y',
		'x:y',
		'x: y',
		'x y',
		' x',
		'x ',
		'x\t',
		'X',
		'xY',
		'Host',
		'',
		':',
		':x',
		':host',
		'x\x7f',
		'x\xe9',
		'x(y)',
		'x/y',
		'x"y',
		'x,y',
		'x;y',
		'x=y',
		'x@y',
		'x[y',
		'x\\y',
		'x{y',
		'GET /smuggled HTTP/1.1\r\nhost: a',
	].map(
		(name): Http2Row => ({
			name: `the name ${JSON.stringify(name)}`,
			fields: [...POST, name, 'y'],
			data: ['abc'],
			...RESET,
		}),
	),
	{ name: 'CR LF in a cookie', fields: [...GET, 'cookie', 'a=b\r\nx: y'], ...RESET },
	{ name: 'LF in the length', fields: [...POST, 'content-length', '3\nx: y'], data: ['abc'], ...RESET },
	{ name: 'LF in host', fields: [':method', 'GET', ':scheme', 'http', ':path', '/h', 'host', 'a\nx: y'], ...RESET },
	{ name: 'LF in te', fields: [...GET, 'te', 'trailers\nx: y'], ...RESET },
];

/** The request line that could be made of pseudo-header fields (RFC 9113 section 8.3.1). */
const requestLine: readonly Http2Row[] = [
	...[
		'GET /smuggled HTTP/1.1\r\nx: y',
		'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\nGET',
		'GET / HTTP/1.1',
		'GET ',
		' GET',
		'GET\t',
		'GET\n',
		'GET\0',
		'',
		'GET:',
		'GET/',
		'G\xc9T',
		'"GET"',
	].map((method): Http2Row => ({ name: `the method ${JSON.stringify(method)}`, fields: pseudo(method), ...RESET })),
	{ name: 'the method CONNECT with a path', fields: pseudo('CONNECT'), ...RESET },
	{ name: 'the method CONNECT', fields: [':method', 'CONNECT', ':authority', 'a:1'], outcome: 405, effect: 'nothing' },
	{ name: 'the method TRACE', fields: pseudo('TRACE'), outcome: 405, effect: 'nothing' },
	...[
		'/ HTTP/1.1\r\nx: y\r\n',
		'/h\r\n\r\nGET /smuggled HTTP/1.1',
		'/h\nx',
		'/h\rx',
		'/h\0',
		'/h ',
		' /h',
		'/h\t',
		'',
		'h',
		'*',
		'?h',
		'@evil',
		'.evil/',
		'http://evil/h',
		'HTTP://evil/h',
		'evil:80',
		'#h',
		':80/h',
	].map((path): Http2Row => ({ name: `the path ${JSON.stringify(path)}`, fields: pseudo('GET', path), ...RESET })),
	...[
		'/ HTTP/1.1',
		'/h HTTP/1.1 x: y',
		'/h x',
		'/h\tx',
		'/h\x0bx',
		'/h\x0cx',
		'/h\x7f',
		'/h\x01',
		'/h#x',
		'/#',
		'/h?x#y',
	].map((path): Http2Row => ({ name: `the path ${JSON.stringify(path)}`, fields: pseudo('GET', path), ...REFUSED })),
	...[
		'//evil/h',
		'/\\evil',
		'/@evil',
		'/h?',
		'/h?http://evil/',
		'/%0d%0ax:%20y',
		'/%zz',
		'/;x',
		'/h/../../x',
		'/http://evil/',
		'/\xe9',
	].map(
		(path): Http2Row => ({
			name: `the path ${JSON.stringify(path)}`,
			fields: pseudo('GET', path),
			...served('', path),
		}),
	),
	...[
		'http://evil/?',
		'http\r\nx: y',
		'http\n',
		'http\0',
		'http x',
		'http:',
		'http/',
		'',
		' http',
		'1http',
		'h\xe9',
		'http://evil/ HTTP/1.1',
	].map(
		(scheme): Http2Row => ({
			name: `the scheme ${JSON.stringify(scheme)}`,
			fields: pseudo('GET', '/h', 'a', scheme),
			...RESET,
		}),
	),
	{
		name: 'the scheme https without TLS',
		fields: pseudo('GET', '/h', 'a', 'https'),
		...served(''),
		sees: ['x-forwarded-proto', 'http'],
	},
	{ name: 'a path below the own ones', fields: pseudo('GET', '/.slime/tunnel'), outcome: 404, effect: 'nothing' },
	...[':method', ':scheme', ':authority', ':path'].map(
		(name): Http2Row => ({ name: `${name} twice`, fields: [...GET, name, GET[GET.indexOf(name) + 1] ?? ''], ...RESET }),
	),
	...[':method', ':scheme', ':path'].map(
		(name): Http2Row => ({
			name: `no ${name}`,
			fields: GET.filter((_, i) => GET[i - (i % 2)] !== name),
			...RESET,
		}),
	),
	{
		name: 'a pseudo-header field behind a regular one',
		fields: [...GET.slice(0, 6), 'x', 'y', ':path', '/h'],
		...RESET,
	},
	{ name: ':status in a request', fields: [...GET, ':status', '200'], ...RESET },
	{ name: ':protocol without CONNECT', fields: [...GET, ':protocol', 'websocket'], ...RESET },
	{ name: 'an unknown pseudo-header field', fields: [...GET, ':evil', 'x'], ...RESET },
];

const NO_AUTHORITY = [':method', 'GET', ':scheme', 'http', ':path', '/h'];

/** Which host is meant (RFC 9113 section 8.3.1). */
const hosts: readonly Http2Row[] = [
	{ name: 'host like :authority', fields: [...GET, 'host', 'a'], ...served('') },
	{ name: 'host like :authority in another case', fields: [...GET, 'host', 'A'], ...served('') },
	{ name: 'host alone', fields: [...NO_AUTHORITY, 'host', 'b'], ...served(''), sees: ['x-forwarded-host', 'b'] },
	{ name: 'no host at all', fields: NO_AUTHORITY, ...REFUSED },
	{ name: 'an empty :authority', fields: pseudo('GET', '/h', ''), ...REFUSED },
	{ name: 'an empty :authority and a host', fields: [...pseudo('GET', '/h', ''), 'host', 'a'], ...REFUSED },
	{ name: 'an empty host', fields: [...NO_AUTHORITY, 'host', ''], ...REFUSED },
	{ name: 'an empty host beside :authority', fields: [...GET, 'host', ''], ...REFUSED },
	{ name: 'host unlike :authority', fields: [...GET, 'host', 'b'], ...REFUSED },
	{ name: 'host with a port beside :authority', fields: [...GET, 'host', 'a:80'], ...REFUSED },
	{ name: 'host twice', fields: [...GET, 'host', 'a', 'host', 'a'], ...REFUSED },
	{ name: 'two hosts without :authority', fields: [...NO_AUTHORITY, 'host', 'a', 'host', 'b'], ...REFUSED },
	...[
		'u@a',
		'u:p@a',
		'a/b',
		'a?b',
		'a#b',
		'a\\b',
		'a,b',
		'a b',
		'a:b',
		':80',
		'http://a',
		'[::1',
		'a\xff',
		'a@',
		'/',
	].map(
		(authority): Http2Row => ({
			name: `the authority ${JSON.stringify(authority)}`,
			fields: pseudo('GET', '/h', authority),
			...REFUSED,
		}),
	),
	...['a\r\nx: y', 'a\n', 'a\0', ' a', 'a ', `a\r\n\r\n${SMUGGLED}`].map(
		(authority): Http2Row => ({
			name: `the authority ${JSON.stringify(authority)}`,
			fields: pseudo('GET', '/h', authority),
			...RESET,
		}),
	),
];

export const HTTP2_HEADS: readonly Http2Row[] = [...injection, ...requestLine, ...hosts];
