/** The ways in which a user may write a name: as it is, in kebab-case, in strict camelCase. Pure. */

/** `agentID`: agentID, agent-id, agentId. */
export function spellings(name: string): readonly string[] {
	const kebab = name.replaceAll(/([a-z])([A-Z])/g, '$1-$2').toLowerCase();
	const camel = kebab.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
	return [name, kebab, camel];
}
