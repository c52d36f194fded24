/** What the YAML parser finds wrong, as sentences that hold nothing of the text. */
import type { YAMLError } from 'yaml';

/** The parser's own words, but for those that repeat the text, which may be a secret without quotes. */
export function sentence(fault: YAMLError): string {
	switch (fault.code) {
		case 'TAG_RESOLVE_FAILED':
			return 'tags are not served here; put a text that begins with ! in quotes';
		case 'BAD_SCALAR_START':
			return 'a text that begins with this character must be in quotes';
		case 'BLOCK_AS_IMPLICIT_KEY':
			return 'a second colon in the line; put a text that holds a colon and a space in quotes';
		case 'BAD_ALIAS':
			return 'not an alias or anchor; put a text that begins with * or & in quotes';
		case 'BAD_DIRECTIVE':
			return 'directives are not served here; put a text that begins with % in quotes';
		case 'BAD_DQ_ESCAPE':
			return 'not an escape sequence; write \\\\ for a backslash, or use single quotes';
		case 'UNEXPECTED_TOKEN':
			return 'something is left over here; check the quotes and the indentation';
		default:
			return fault.message;
	}
}
