/** `npm run generate`: writes the files that are generated. Tests fail while they are not what this would write. */
import { readFile, writeFile } from 'node:fs/promises';
import { REFERENCE_FILE, referenceText, SCHEMA_FILE, schemaText } from './configuration.ts';

const root = new URL('../', import.meta.url);
const reference = new URL(REFERENCE_FILE, root);
await writeFile(reference, referenceText(await readFile(reference, 'utf8')));
await writeFile(new URL(SCHEMA_FILE, root), schemaText());
