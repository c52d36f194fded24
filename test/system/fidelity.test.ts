/** What an upstream and an app see of each other through the hub, field by field and byte by byte, beside what they see directly. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FieldMessage, type FieldVersion, HTTP1, HTTP2 } from '../helpers/field-peers.ts';
import { stack } from '../helpers/stack.ts';

const ALWAYS = { mode: 'always', max: 64, timeout: 20_000, maxBytes: 1024 * 1024 } as const;
const DATE = 'Sun, 06 Nov 1994 08:49:37 GMT';
const cookies = Array.from({ length: 60 }, (_, i) => `c${i}=${'v'.repeat(i)}`);

const REQUEST_FIELDS: readonly string[] = [
	...['X-Repeated', '1', 'x-other', 'o', 'x-REPEATED', '2', 'X-Repeated', '', 'X-Repeated', '1'],
	...['Via', '1.0 first', 'Via', '1.1 second, 1.1 third (a comment)'],
	...['Accept', 'text/html', 'Accept', 'text/plain;q=0.5', 'Accept-Encoding', 'gzip, br;q=0.5'],
	...['X-Empty', '', 'X-8bit', '\xe9\x80\xff', 'X-Utf8', '\xc3\xa9\xe6\xbc\xa2', 'X-Tab', 'a\tb'],
	...['X-Commas', 'a,,b , c', 'X-Quoted', '"a\\"b, c"', 'X-Colon', ':a: b', 'X_Under', 'u', "!#$%&'*+-.^_`|~", 'all'],
	...['X-Long', 'y'.repeat(20_000), 'Content-Type', 'text/plain; Charset="UTF-8"', 'Authorization', 'Basic abc=='],
	...[
		'Range',
		'bytes=0-',
		'If-None-Match',
		'W/"x", "y"',
		'Origin',
		'null',
		'Date',
		DATE,
		'User-Agent',
		'',
		'Max-Forwards',
		'7',
	],
	...['Content-Encoding', 'x-odd', 'Priority', 'u=1, i', 'Trace-Parent', '00-0-0-01', 'Referer', 'http://[::1]/?%zz#'],
];

const RESPONSE_FIELDS: readonly string[] = [
	...[
		'Date',
		DATE,
		'Server',
		'upstream/1 (odd)',
		'Set-Cookie',
		'a=1; Path=/',
		'X-Between',
		'1',
		'Set-Cookie',
		'b=2, c',
	],
	...[
		'set-cookie',
		'',
		'Via',
		'1.1 up',
		'Via',
		'1.0 up2',
		'WWW-Authenticate',
		'Basic realm="a, b"',
		'WWW-Authenticate',
		'Bearer',
	],
	...[
		'Content-Type',
		'text/plain; Charset="UTF-8"',
		'Vary',
		'a',
		'Vary',
		'b',
		'Content-Encoding',
		'gzip',
		'ETag',
		'W/"x"',
	],
	...[
		'X-Empty',
		'',
		'X-8bit',
		'\xe9\x80\xff',
		'X-Utf8',
		'\xc3\xa9\xe6\xbc\xa2',
		'X-Tab',
		'a\tb',
		'X-Long',
		'y'.repeat(40_000),
	],
	...[
		'Link',
		'</a>; rel=x',
		'Link',
		'</b>',
		'Age',
		'7',
		'Alt-Svc',
		'h3=":443"',
		'Location',
		'//evil/%zz',
		'Warning',
		'199 - "x"',
	],
	...['Expires', '0', 'Last-Modified', DATE, 'Content-Language', 'de', "!#$%&'*+-.^_`|~", 'all', 'X-Quoted', '"a\\"b"'],
	...cookies.flatMap((cookie) => ['Set-Cookie', cookie]),
	...['Content-Length', '5'],
];

/** Written by each hop for itself (RFC 9110 section 7.6.1), or placed by it: checked apart. */
const OWN = new Set(['host', 'connection', 'keep-alive', 'te', 'content-length']);
const ADDED_TO_REQUESTS = ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'via', 'x-request-id'];

/** Names in lower case, as every hop may write them. */
function pairs(fields: readonly string[]): Array<[name: string, value: string]> {
	const list: Array<[string, string]> = [];
	for (let i = 0; i < fields.length; i += 2) list.push([(fields[i] ?? '').toLowerCase(), fields[i + 1] ?? '']);
	return list;
}

function without(fields: readonly string[]): Array<[name: string, value: string]> {
	return pairs(fields).filter(([name]) => !OWN.has(name));
}

function valuesOf(fields: readonly string[], wanted: string): string[] {
	return pairs(fields)
		.filter(([name]) => name === wanted)
		.map(([, value]) => value);
}

/** RFC 9113 section 8.2.3: cookies that came one by one are one field in HTTP/1.1. */
function joined(list: Array<[string, string]>): Array<[string, string]> {
	const crumbs = list.filter(([name]) => name === 'cookie').map(([, value]) => value);
	const first = list.findIndex(([name]) => name === 'cookie');
	return list
		.map(([name, value], i): [string, string] => [name, i === first ? crumbs.join('; ') : value])
		.filter(([name], i) => name !== 'cookie' || i === first);
}

for (const app of [HTTP1, HTTP2]) {
	for (const upstream of [HTTP1, HTTP2]) {
		const both = `for an app in ${app.name} and an upstream in ${upstream.name}`;

		test(`every field of a request arrives as it would directly, ${both}`, async (t) => {
			const crumbs = app === HTTP2 ? cookies.flatMap((cookie) => ['Cookie', cookie]) : ['Cookie', cookies.join('; ')];
			const fields = [...REQUEST_FIELDS, ...crumbs, 'TE', 'trailers', 'Content-Length', '5'];
			const request: FieldMessage = { line: 'POST /x?y', fields, body: 'h\xe9llo' };
			const direct = await seenBy(t, app, request);
			assert.deepEqual(without(direct.fields), without(fields));
			const service = await upstream.serve(t);
			const { port } = await stack(t, [service.address]);
			assert.equal((await app.ask(t, port, 'app.example:81', request)).line, '200');
			const [seen] = service.seen;
			assert.ok(seen);
			assert.deepEqual([seen.line, seen.body], [direct.line, direct.body]);
			const got = without(seen.fields);
			const added = got.splice(got.length - ADDED_TO_REQUESTS.length);
			const expected = without(direct.fields);
			assert.deepEqual(got, upstream === HTTP1 ? joined(expected) : expected);
			assert.deepEqual(
				added.map(([name]) => name),
				ADDED_TO_REQUESTS,
			);
			const version = app === HTTP1 ? '1.1' : '2.0';
			assert.deepEqual(
				added.slice(0, 4).map(([, value]) => value),
				['127.0.0.1', 'app.example:81', 'http', `${version} slime`],
			);
			assert.deepEqual(valuesOf(seen.fields, 'te'), ['trailers']);
			assert.deepEqual(valuesOf(seen.fields, 'content-length'), ['5']);
		});

		test(`every field of a response arrives as it would directly, ${both}`, async (t) => {
			const answer: FieldMessage = { line: '401', fields: RESPONSE_FIELDS, body: 'h\xe9llo' };
			const direct = await answeredBy(t, app, answer);
			assert.deepEqual(without(direct.fields), without(RESPONSE_FIELDS));
			const service = await upstream.serve(t);
			service.answer = answer;
			const { port } = await stack(t, [service.address]);
			const seen = await app.ask(t, port, 'a', { line: 'GET /', fields: [], body: '' });
			assert.deepEqual([seen.line, seen.body], [direct.line, direct.body]);
			const got = without(seen.fields).filter(([name]) => name !== 'slime-agent-id');
			assert.deepEqual(got, without(direct.fields));
			assert.deepEqual(valuesOf(seen.fields, 'content-length'), ['5']);
			assert.equal(valuesOf(seen.fields, 'slime-agent-id').length, 1);
		});

		test(`a response without Date gets one, and no Server, ${both}`, async (t) => {
			const service = await upstream.serve(t);
			const { port } = await stack(t, [service.address]);
			const seen = await app.ask(t, port, 'a', { line: 'GET /', fields: [], body: '' });
			const dates = valuesOf(seen.fields, 'date');
			assert.equal(dates.length, 1);
			assert.ok(Math.abs(Date.parse(dates[0] ?? '') - Date.now()) < 60_000, dates[0]);
			assert.deepEqual(valuesOf(seen.fields, 'server'), []);
		});

		test(`the bytes of a request target arrive as they are, ${both}`, async (t) => {
			const service = await upstream.serve(t);
			const { port } = await stack(t, [service.address], { hub: { queue: ALWAYS } });
			const targets = [
				'/',
				'//',
				'//a//b/',
				'/a/../b/./c',
				'/?',
				'/a?',
				'/a??b',
				'/a;b;',
				'/%zz',
				'/%2F%2f',
				'/%',
				'/[]|^',
				'/a?b=%00',
			];
			for (const target of targets) await app.ask(t, port, 'a', { line: `GET ${target}`, fields: [], body: '' });
			assert.deepEqual(
				service.seen.map(({ line }) => line),
				targets.map((target) => `GET ${target}`),
			);
		});

		test(`hop-by-hop fields end at the hub, ${both}`, async (t) => {
			const service = await upstream.serve(t);
			const gone = [
				'Keep-Alive',
				'timeout=9',
				'Proxy-Connection',
				'keep-alive',
				'Connection',
				'X-Hop, X-Hop2',
				'X-Hop',
				'1',
				'x-hop2',
				'2',
			];
			const perVersion = (version: FieldVersion) => (version === HTTP1 ? gone : []);
			service.answer = {
				line: '200',
				fields: [
					...perVersion(upstream),
					'Proxy-Authenticate',
					'Basic',
					'Slime-Error',
					'busy',
					'X-Kept',
					'1',
					'Content-Length',
					'0',
				],
				body: '',
			};
			const { port } = await stack(t, [service.address]);
			const fields = [...perVersion(app), 'Proxy-Authorization', 'Basic x', 'Slime-Scope', '', 'X-Kept', '1'];
			const answer = await app.ask(t, port, 'a', { line: 'GET /', fields, body: '' });
			const request = service.seen[0]?.fields ?? [];
			for (const name of [
				'x-hop',
				'x-hop2',
				'proxy-connection',
				'proxy-authorization',
				'proxy-authenticate',
				'slime-scope',
				'slime-error',
			]) {
				assert.deepEqual(valuesOf(request, name), [], name);
				assert.deepEqual(valuesOf(answer.fields, name), [], name);
			}
			assert.deepEqual([valuesOf(request, 'x-kept'), valuesOf(answer.fields, 'x-kept')], [['1'], ['1']]);
			assert.doesNotMatch(valuesOf(answer.fields, 'keep-alive').join(), /timeout=9/);
			assert.doesNotMatch(
				[...valuesOf(answer.fields, 'connection'), ...valuesOf(request, 'connection')].join(),
				/hop/i,
			);
		});
	}
}

/** The request as a service in the app's own version sees it without anything between. */
async function seenBy(
	t: Parameters<FieldVersion['serve']>[0],
	app: FieldVersion,
	request: FieldMessage,
): Promise<FieldMessage> {
	const service = await app.serve(t);
	await app.ask(t, service.port, 'app.example:81', request);
	const [seen] = service.seen;
	assert.ok(seen);
	return seen;
}

/** The answer as an app sees it without anything between. */
async function answeredBy(
	t: Parameters<FieldVersion['serve']>[0],
	app: FieldVersion,
	answer: FieldMessage,
): Promise<FieldMessage> {
	const service = await app.serve(t);
	service.answer = answer;
	return app.ask(t, service.port, 'a', { line: 'GET /', fields: [], body: '' });
}
