/** What a hub can be told about cross-origin requests, and which of it makes no sense together. Pure. */

export interface CorsOptions {
	/** Origins that may ask, such as `https://app.example.com`, or `*` alone for all. */
	readonly origins: readonly string[];
	/** Methods that they may use; `*` is any. */
	readonly methods: readonly string[];
	/** Request headers that they may set; `*` is any. */
	readonly headers: readonly string[];
	/** Response headers that their scripts may read; `*` is any. */
	readonly exposedHeaders: readonly string[];
	/** Whether browsers send cookies and credentials along. */
	readonly credentials: boolean;
	/** Milliseconds that a browser may remember the answer to a preflight. */
	readonly maxAge: number;
}

/** What is wrong with such options as a whole, and the key that it is said of. */
export function corsFault(options: CorsOptions): { key: 'origins' | 'exposedHeaders'; text: string } | undefined {
	const { origins, exposedHeaders, credentials } = options;
	if (origins.includes('*') && origins.length > 1) {
		return { key: 'origins', text: '* is every origin: write it alone, or leave it out' };
	}
	if (!credentials) return undefined;
	if (origins.includes('*')) {
		return { key: 'origins', text: "with credentials every site could act in its visitors' names: name the origins" };
	}
	if (exposedHeaders.includes('*')) return { key: 'exposedHeaders', text: 'with credentials * means none: name them' };
	return undefined;
}
