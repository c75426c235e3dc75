#!/usr/bin/env node
// Cost of one operator call through the door, without and with an interceptor; nanoseconds, three rounds.
import { intercept, ops, randn, scope, setNumThreads } from "@rfdetr/torch";

setNumThreads(1);
const [a, b] = [randn([4, 4]), randn([4, 4])];
function time(name) {
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    for (let i = 0; i < 100; i++)
      scope(() => {
        for (let j = 0; j < 1000; j++) ops.add(a, b);
      });
    console.log(`${name}: ${((performance.now() - start) * 10).toFixed(0)} ns`);
  }
}
time("add");
const remove = intercept((call, next) => next(call.args));
time("add through one interceptor");
remove();
