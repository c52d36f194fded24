/** What is generated from the configuration's schema: the JSON Schema, and the tables in docs/configuration.md. Pure. */
import { COMMANDS } from '../src/cli/commands.ts';
import { isLive } from '../src/config/changes.ts';
import { jsonSchema } from '../src/config/json-schema.ts';
import { DETAILS, KEYS, type KeyDetails, variableOf } from '../src/config/keys.ts';

export const SCHEMA_FILE = 'config.schema.json';
export const REFERENCE_FILE = 'docs/configuration.md';

const BEGIN = '<!-- Generated from the schema by npm run generate: changes below are lost. -->';

export function schemaText(): string {
	return `${JSON.stringify(jsonSchema(), null, '\t')}\n`;
}

/** @param text of the reference, whose prose stays @throws Error without the line that the tables follow */
export function referenceText(text: string): string {
	const [prose, generated] = text.split(BEGIN);
	if (prose === undefined || generated === undefined) throw new Error(`${REFERENCE_FILE} lacks the line ${BEGIN}`);
	const sections = [...new Set(KEYS.map((key) => key.split('.', 1)[0] ?? ''))];
	return `${prose}${BEGIN}\n${sections.map(table).join('')}`;
}

function table(section: string): string {
	const rows = [...DETAILS].filter(([key]) => key.startsWith(`${section}.`)).map(([key, details]) => row(key, details));
	return `\n## ${section}\n\n| key | flag | variable | default | |\n|---|---|---|---|---|\n${rows.join('')}`;
}

function row(key: string, { standard, description }: KeyDetails): string {
	const flag = COMMANDS.flatMap(({ flags }) => flags).find((one) => one.key === key);
	const text = typeof standard === 'object' ? standard.join(',') || '[]' : standard;
	const cells = [key, flag && `--${flag.name}`, KEYS.includes(key) && variableOf(key), text].map((cell) =>
		cell ? `\`${cell}\`` : '',
	);
	const told = isLive(key) ? description : `${description} Changes with a restart.`;
	return `| ${[...cells, told.replaceAll('|', '\\|')].join(' | ')} |\n`;
}
