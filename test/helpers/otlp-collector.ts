/** A collector of traces as OTLP has it: keeps the spans that it is sent in JSON, and the bytes of others. */
import { createServer, type RequestListener } from 'node:http';
import type { TestContext } from 'node:test';
import { listenOn } from './stack.ts';

export interface CollectedSpan {
	readonly service: string;
	readonly traceId: string;
	readonly spanId: string;
	/** Empty for the first of its trace. */
	readonly parentSpanId: string;
	readonly name: string;
	/** As OTLP counts them: 1 internal, 2 server, 3 client. */
	readonly kind: number;
	/** Nanoseconds. */
	readonly start: bigint;
	readonly end: bigint;
	readonly attributes: Readonly<Record<string, unknown>>;
	readonly failed: boolean;
}

interface KeyValue {
	readonly key: string;
	readonly value: Readonly<Record<string, unknown>>;
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of a standard, which is read and not checked here
type Json = any;

export class Collector {
	readonly spans: CollectedSpan[] = [];
	/** What came in Protocol Buffers, in which texts stand as they are. */
	readonly protobuf: Buffer[] = [];
	/** Requests that came, whatever was answered. */
	requests = 0;
	/** Of the last request. */
	authorization: string | undefined;
	readonly url: string;

	private constructor(url: string) {
		this.url = url;
	}

	/** @param answer instead of taking what comes */
	static async open(context: TestContext, answer?: RequestListener): Promise<Collector> {
		const server = createServer((req, res) => {
			collector.requests++;
			collector.authorization = req.headers.authorization;
			if (answer !== undefined) {
				answer(req, res);
				return;
			}
			const chunks: Buffer[] = [];
			req.on('data', (chunk: Buffer) => chunks.push(chunk));
			req.on('end', () => {
				const body = Buffer.concat(chunks);
				const type = req.headers['content-type'] ?? '';
				if (type === 'application/json') collector.#take(JSON.parse(body.toString('utf8')));
				else collector.protobuf.push(body);
				res.setHeader('content-type', type).end(type === 'application/json' ? '{}' : '');
			});
		});
		const port = await listenOn(context, server);
		context.after(() => server.closeAllConnections());
		const collector = new Collector(`http://127.0.0.1:${port}`);
		return collector;
	}

	/** The one span of this name; fails if there is another number of them. */
	one(name: string, where: (span: CollectedSpan) => boolean = () => true): CollectedSpan {
		const found = this.spans.filter((span) => span.name === name && where(span));
		if (found[0] === undefined || found.length > 1) throw new Error(`${found.length} spans ${name}`);
		return found[0];
	}

	#take(body: Json): void {
		for (const { resource, scopeSpans } of body.resourceSpans) {
			const service = String(valuesOf(resource.attributes)['service.name']);
			for (const span of scopeSpans.flatMap((scope: Json) => scope.spans)) {
				this.spans.push({
					service,
					traceId: span.traceId,
					spanId: span.spanId,
					parentSpanId: span.parentSpanId ?? '',
					name: span.name,
					kind: span.kind,
					start: BigInt(span.startTimeUnixNano),
					end: BigInt(span.endTimeUnixNano),
					attributes: valuesOf(span.attributes),
					failed: span.status?.code === 2,
				});
			}
		}
	}
}

function valuesOf(attributes: readonly KeyValue[]): Record<string, unknown> {
	return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
