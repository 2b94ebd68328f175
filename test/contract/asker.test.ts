import assert from "node:assert/strict";
import { parseSearchSpace } from "../../protocol/search-space.ts";
import { createAsker, type Asker } from "../../server/samplers/asker.ts";
import type { AskRequest } from "../../server/samplers/sampler.ts";

const REQUEST: AskRequest = {
  method: "random",
  space: parseSearchSpace('{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}', "space")
    .parameters,
  direction: "min",
  seed: "1:run:0",
  want: 3,
  maxPoints: 10,
  points: [],
};

describe("the worker of built-in steering", () => {
  let asker: Asker;

  afterEach(() => asker.close());

  it("answers, equal requests equally, also many at once", async () => {
    asker = createAsker();
    const answers = await Promise.all(Array.from({ length: 20 }, () => asker.ask(REQUEST)));
    assert.equal(answers[0]?.texts.length, 3);
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
  });

  it("says what went wrong, and answers the next request", async () => {
    asker = createAsker();
    const broken = { ...REQUEST, space: null } as unknown as AskRequest;
    await assert.rejects(asker.ask(broken), { code: "E_STEERING" });
    assert.equal((await asker.ask(REQUEST)).texts.length, 3);
  });

  it("is given up when it takes too long, and started again", async () => {
    asker = createAsker();
    const endless = { ...REQUEST, want: 1e9 };
    await assert.rejects(asker.ask(endless, 0.3), {
      code: "E_STEERING",
      why: /no answer within 0\.3 s/,
    });
    assert.equal((await asker.ask(REQUEST)).texts.length, 3);
  });

  it("gives up only the ask that takes too long: those behind it are answered, and their time begins then", async () => {
    asker = createAsker();
    const endless = asker.ask({ ...REQUEST, want: 1e9 }, 1);
    const behind = Array.from({ length: 5 }, () => asker.ask(REQUEST, 60));
    await assert.rejects(endless, { code: "E_STEERING" });
    for (const answer of await Promise.all(behind)) assert.equal(answer.texts.length, 3);
  });

  it("rejects what waits when it is closed", async () => {
    asker = createAsker();
    const waiting = asker.ask({ ...REQUEST, want: 1e9 });
    await Promise.all([assert.rejects(waiting, { code: "E_STEERING" }), asker.close()]);
  });
});
