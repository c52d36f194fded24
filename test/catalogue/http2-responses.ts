/** What an HTTP/2 upstream answers when it is careless or hostile: lengths, fields that HTTP/1.1 would misread, odd statuses and sections. */
import type { Http2ResponseRow } from './rows.ts';

const OK = [':status', '200'];
const REFUSED = { sees: 'upstream_protocol' } as const;
const CUT = { sees: 'cut' } as const;
const whole = (body: string, status = 200) => ({ sees: { status, body } }) as const;

export const HTTP2_RESPONSES: readonly Http2ResponseRow[] = [
	{ name: 'a length', sections: [[...OK, 'content-length', '3']], data: ['abc'], ...whole('abc') },
	{ name: 'no length', sections: [OK], data: ['abc'], ...whole('abc') },
	{ name: 'no body', sections: [OK], ...whole('') },
	{
		name: 'a response as a body',
		sections: [OK],
		data: ['HTTP/1.1 200 OK\r\n\r\n'],
		...whole('HTTP/1.1 200 OK\r\n\r\n'),
	},
	{ name: 'more bytes than the length', sections: [[...OK, 'content-length', '3']], data: ['abcdef'], ...CUT },
	{ name: 'bytes behind the length', sections: [[...OK, 'content-length', '3']], data: ['abc', 'def'], ...CUT },
	{ name: 'bytes behind a length of zero', sections: [[...OK, 'content-length', '0']], data: ['abc'], ...CUT },
	{ name: 'fewer bytes than the length', sections: [[...OK, 'content-length', '9']], data: ['abc'], ...CUT },
	{ name: 'a length without a body', sections: [[...OK, 'content-length', '9']], ...REFUSED },
	{
		name: 'a length twice, the same',
		sections: [[...OK, 'content-length', '3', 'content-length', '3']],
		data: ['abc'],
		...REFUSED,
	},
	{ name: 'two lengths', sections: [[...OK, 'content-length', '3', 'content-length', '4']], data: ['abc'], ...REFUSED },
	...['3, 3', '+3', '-3', '0x3', '', '3 ', '3\r\nx: y', '9'.repeat(20)].map(
		(length): Http2ResponseRow => ({
			name: `the length ${JSON.stringify(length)}`,
			sections: [[...OK, 'content-length', length]],
			data: ['abc'],
			...REFUSED,
		}),
	),
	...[
		['transfer-encoding', 'chunked'],
		['connection', 'close'],
		['keep-alive', 'timeout=1'],
		['upgrade', 'h2c'],
		['proxy-connection', 'close'],
		['X', 'y'],
		['x y', 'z'],
		['x:y', 'z'],
		['x\r\ny', 'z'],
		['', 'z'],
		[':path', '/'],
		[':status', '200'],
		['x', 'y\r\nset-cookie: a=b'],
		['x', 'y\nz'],
		['x', 'y\rz'],
		['x', 'y\0z'],
		['x', ' y'],
		['x', 'y\x01z'],
	].map(
		([name = '', value = '']): Http2ResponseRow => ({
			name: `the field ${JSON.stringify(name)}: ${JSON.stringify(value)}`,
			sections: [[...OK, name, value]],
			data: ['abc'],
			...REFUSED,
		}),
	),
	...['20', '2000', '099', '000', '2x0', '', '200 OK', '+20', '101', '200\r\nx: y'].map(
		(status): Http2ResponseRow => ({
			name: `the status ${JSON.stringify(status)}`,
			sections: [[':status', status]],
			data: ['abc'],
			...REFUSED,
		}),
	),
	{ name: 'no status', sections: [['x', 'y']], data: ['abc'], ...REFUSED },
	{ name: 'a request', sections: [[':method', 'GET', ':path', '/']], data: ['abc'], ...REFUSED },
	{ name: 'a status behind a field', sections: [['x', 'y', ':status', '200']], data: ['abc'], ...REFUSED },
	{ name: '103', sections: [[':status', '103', 'link', '</a>'], OK], data: ['abc'], ...whole('abc') },
	{
		name: '103 with a length',
		sections: [[':status', '103', 'content-length', '9'], OK],
		data: ['abc'],
		...whole('abc'),
	},
	{ name: '103 that ends', sections: [[':status', '103']], ...REFUSED },
	{ name: '204', sections: [[':status', '204']], ...whole('', 204) },
	{ name: '204 with a length', sections: [[':status', '204', 'content-length', '3']], ...REFUSED },
	{ name: '204 with a body', sections: [[':status', '204']], data: ['abc'], ...CUT },
	{ name: '304 with a length', sections: [[':status', '304', 'content-length', '3']], ...whole('', 304) },
	{ name: '304 with a body', sections: [[':status', '304']], data: ['abc'], ...CUT },
	{ name: 'a trailer', sections: [OK], data: ['abc'], trailers: ['x-t', '1'], ...whole('abc') },
	{ name: 'a trailer of Slime', sections: [OK], data: ['abc'], trailers: ['slime-error', 'busy'], ...whole('abc') },
	{ name: 'a trailer with a status', sections: [OK], data: ['abc'], trailers: [':status', '500'], ...CUT },
	{
		name: 'a trailer with a coding',
		sections: [OK],
		data: ['abc'],
		trailers: ['transfer-encoding', 'chunked'],
		...CUT,
	},
	{ name: 'a trailer with CR LF', sections: [OK], data: ['abc'], trailers: ['x', 'a\r\nb: c'], ...CUT },
	{
		name: 'a trailer behind too few bytes',
		sections: [[...OK, 'content-length', '9']],
		data: ['abc'],
		trailers: ['x-t', '1'],
		...CUT,
	},
];
