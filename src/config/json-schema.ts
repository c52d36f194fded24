/** The configuration's JSON Schema, with which editors complete and check a file. Says of each key what may be written, not what it is once read. */
import { z } from 'zod';
import { kindOf } from './kinds.ts';
import { schema } from './schema.ts';

/** Of the document, not a place that it is fetched from. */
const ID = 'urn:slime:config-schema';

export function jsonSchema(): Record<string, unknown> {
	const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input', override: describe });
	const whole = structuredClone({ $schema, $id: ID, title: "Slime's configuration", ...rest });
	// What one of several agents leaves out is as it is for all of them.
	dropDefaults(whole.properties?.agents);
	return whole;
}

function dropDefaults(node: unknown): void {
	if (typeof node !== 'object' || node === null) return;
	if ('type' in node || 'anyOf' in node) delete (node as { default?: unknown }).default;
	for (const below of Object.values(node)) dropDefaults(below);
}

function describe({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: Record<string, unknown> }) {
	const { def } = zodSchema._zod;
	if (def.type === 'prefault') delete jsonSchema.default;
	// A section whose lines are all comments.
	if (def.type === 'object') jsonSchema.type = ['object', 'null'];
	const wraps = def.type === 'default' || def.type === 'optional';
	const kind = kindOf(wraps ? (def.innerType as z.core.$ZodType) : zodSchema);
	if (kind === undefined) return;
	const { description } = jsonSchema;
	for (const name of Object.keys(jsonSchema)) delete jsonSchema[name];
	Object.assign(jsonSchema, description !== undefined && { description }, kind.json);
	if (def.type === 'default') jsonSchema.default = native(kind.write(def.defaultValue));
}

/** Numbers and booleans without quotes, as people write them. */
function native(written: string | readonly string[]): unknown {
	if (typeof written !== 'string') return written;
	return /^(?:\d+|true|false)$/.test(written) ? JSON.parse(written) : written;
}
