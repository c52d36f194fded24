/** The admin API as a client with docs/openapi.json in hand: every request and every answer is held against it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { type Answer, type Asking, ask } from './stack.ts';

export interface Operation {
	readonly operationId: string;
	readonly requestBody?: unknown;
	readonly responses: Readonly<Record<string, unknown>>;
}

export interface Document {
	readonly info: { readonly version: string };
	readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

export const DOCUMENT: Document = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'));

const ajv = new Ajv2020({ strict: false, allErrors: true });
ajvFormats.default(ajv);
ajv.addSchema(closed(DOCUMENT) as Record<string, unknown>, 'openapi');

/** Clients must take fields that they do not know; here, what an answer has has to be documented. */
function closed(value: unknown): unknown {
	if (Array.isArray(value)) return value.map(closed);
	if (typeof value !== 'object' || value === null) return value;
	const inside = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, closed(one)]));
	return 'properties' in value && 'type' in value ? { additionalProperties: false, ...inside } : inside;
}

function pointer(...parts: readonly string[]): string {
	return parts.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
}

function assertValid(what: string, place: string, value: unknown): void {
	const validate = ajv.compile({ $ref: `openapi#/${place}` });
	assert.ok(validate(value), `${what}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`);
}

/** That an answer is one which the document allows. */
export function assertDocumented(method: string, path: string, answer: Answer): void {
	const what = `${method} ${path} ${answer.status}`;
	const operation = DOCUMENT.paths[path]?.[method.toLowerCase()];
	const type = (answer.headers['content-type'] ?? '').split(';', 1)[0] ?? '';
	const content = pointer('content', type, 'schema');
	if (operation === undefined || answer.status >= 400) {
		if (type === 'text/plain') assert.ok(operation?.responses[answer.status], `${what} is documented`);
		else assertValid(what, `components/responses/Error/${content}`, JSON.parse(answer.body));
		return;
	}
	assert.ok(operation.responses[answer.status], `${what} is documented`);
	const place = `${pointer('paths', path, method.toLowerCase(), 'responses', `${answer.status}`)}/${content}`;
	assertValid(what, place, type === 'application/json' ? JSON.parse(answer.body) : answer.body);
}

/** One request to the admin listener; `json` is sent as JSON, and if the hub takes it, it has to be documented too. */
export async function askAdmin(
	port: number,
	path: string,
	{ method, headers = {}, json, ...asking }: Asking & { readonly json?: unknown } = {},
): Promise<Answer> {
	const sent = json === undefined ? undefined : JSON.stringify(json);
	const verb = method ?? (sent === undefined ? 'GET' : 'POST');
	const type = sent === undefined ? {} : { 'content-type': 'application/json' };
	const answer = await ask(port, path, {
		...asking,
		...(sent !== undefined && { body: sent }),
		method: verb,
		headers: { ...type, ...headers },
	});
	const [bare = ''] = path.split('?', 1);
	if (verb !== 'HEAD') assertDocumented(verb, bare, answer);
	if (answer.status === 200 && sent !== undefined) {
		const place = pointer('paths', bare, verb.toLowerCase(), 'requestBody', 'content', 'application/json', 'schema');
		assertValid(`what ${verb} ${path} takes`, place, json);
	}
	return answer;
}

/** The answer's JSON, which must be a good one. */
export async function adminJson<T>(port: number, path: string, asking?: Parameters<typeof askAdmin>[2]): Promise<T> {
	const answer = await askAdmin(port, path, asking);
	assert.equal(answer.status, 200, answer.body);
	assert.equal(answer.headers['content-type'], 'application/json');
	assert.equal(answer.headers['cache-control'], 'no-store');
	return JSON.parse(answer.body);
}
