// How OpenMP's threads wait for each other.

/** How often a thread looks before it sleeps. */
export const spinCount = "10000";

/**
 * Lets the threads of libgomp sleep soon when they wait, unless the user decided otherwise. Left alone they spin for milliseconds at the end
 * of every operator: free on an idle machine, but with another job on the same cores a step takes up to a hundred times as long (measured
 * on two cores), and with this setting two to four times. Read once, when libtorch loads: to be called on the main thread before.
 */
export function letThreadsSleep(): void {
  if (process.env.OMP_WAIT_POLICY === undefined) process.env.GOMP_SPINCOUNT ??= spinCount;
}
