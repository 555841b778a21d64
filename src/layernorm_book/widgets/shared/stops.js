// The values that a slider of ε can take, apart from its looks.

export const EPS = ["ε", 1e-12, 10]; // its symbol, and from where to where it goes

/** The ε of a slider's stop. */
export const atStop = (value) => Math.min(Math.max(+(10 ** value).toPrecision(3), EPS[1]), EPS[2]);
