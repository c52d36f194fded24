/** Names for tokens whose maker did not think of one: two words and digits, to be read out and recognized in a log. */
import { randomInt } from 'node:crypto';

const QUALITIES = (
	'able amber ample azure bold brave brief bright brisk calm candid clear clever coral cosy crisp deft eager early ' +
	'fair fleet fond frank fresh gentle glad golden grand hardy hazel humble ivory jolly keen kind lively loyal lucid ' +
	'lunar mellow merry mild neat nimble noble olive placid plain prime proud quick quiet rapid ready rosy royal sharp ' +
	'silver sleek smart solar solid spry steady sturdy sunny swift tidy true vivid warm wise witty young'
).split(' ');

const CREATURES = (
	'adder alpaca badger bat beaver bee bison boar bream camel carp cat cod condor crab crane cricket crow deer dingo ' +
	'dove duck eagle eel egret elk falcon ferret finch fox frog gecko goat goose hare hawk heron horse ibex ibis jay ' +
	'kite koala lark lemur lion llama lynx magpie mantis marten mole moose moth mouse newt ocelot orca osprey otter owl ' +
	'panda perch pigeon puma quail rabbit raven robin salmon seal shrew shrike snail sparrow stoat stork swan tapir ' +
	'tern tiger toad trout turtle viper vole walrus weasel whale wolf wren yak zebra'
).split(' ');

/** `brave-otter-4821`; nothing is secret in it, and two that are alike do no harm. */
export function randomName(): string {
	return `${oneOf(QUALITIES)}-${oneOf(CREATURES)}-${randomInt(1000, 10_000)}`;
}

function oneOf(words: readonly string[]): string {
	return words[randomInt(words.length)] ?? '';
}
