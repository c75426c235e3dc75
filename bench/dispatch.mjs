#!/usr/bin/env node
// @ts-check
// Cost of dispatching one operator call: alone, with an interceptor, in a profile, and after it; nanoseconds,
// three rounds.
import { intercept, ops, profile, randn, scope, setNumThreads } from "@rfdetr/torch";

setNumThreads(1);
const [a, b] = [randn([4, 4]), randn([4, 4])];
function add() {
  for (let i = 0; i < 100; i++)
    scope(() => {
      for (let j = 0; j < 1000; j++) ops.add(a, b);
    });
}
function time(name, run = add) {
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    const milliseconds = run();
    console.log(`${name}: ${((milliseconds ?? performance.now() - start) * 10).toFixed(0)} ns`);
  }
}
time("add");
const remove = intercept((call, next) => next(call.args));
time("add through one interceptor");
remove();
const recorded = (shapes) => () => profile(add, { shapes }).profile.nanoseconds / 1e6;
time("add in a profile", recorded(false));
time("add in a profile with shapes", recorded(true));
time("add after it");
