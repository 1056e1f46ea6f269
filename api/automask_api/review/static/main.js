// The page: puts the parts together.

import { getQueue } from "./api.js";
import { Asking } from "./asking.js";
import { ClickAssist } from "./clicks.js";
import { Controls } from "./controls.js";
import { at } from "./elements.js";
import { Shell } from "./shell.js";
import { Outbox } from "./outbox.js";
import { listenToKeys } from "./keys.js";
import { Marks } from "./marks.js";
import { Panel } from "./panel.js";
import { listen } from "./pointer.js";
import { Queue } from "./queue.js";
import { Session } from "./session.js";
import { Spreading } from "./spreading.js";
import { Stage } from "./stage.js";
import { Sync } from "./sync.js";
import { makeTools } from "./tools.js";

const NEAR_CSS_PX = 10;

async function start() {
  const answer = await getQueue();
  document.title = `${answer.store} · automask review`;
  const queue = new Queue(answer);
  const sync = new Sync(new Outbox(answer.store_id), answer.author);
  const stage = new Stage(at("stage"));
  const session = new Session(queue, stage, sync);
  const marks = new Marks(stage);
  const shell = new Shell({ queue, sync, session, stage });
  const clicks = new ClickAssist(
    session,
    (found, adds) => marks.candidate(found, adds),
    (message) => shell.say(message),
  );
  const spreading = new Spreading(session, (message) => shell.say(message));
  const panel = new Panel(at("panel"), session, {
    highlight: (region) => marks.highlight(region),
    show: (region) => stage.reveal(region.box),
    revert: (revision) => void shell.revert(revision),
    spread: (part) => void spreading.open(part),
    takeBack: (operation) => session.takeBack(operation),
    framesOff: () => {
      session.framesOffEverywhere();
      shell.say("The frames of all images are trained. Ctrl+Z takes it back.");
    },
    decideTemplate: (template, decision) => {
      decideTemplate(template, decision, queue.rows.filter((row) => row.templates.includes(template)).length);
    },
  });
  /** @param {string} template @param {"apply"|"forget"} decision @param {number} images */
  const decideTemplate = (template, decision, images) => {
    session.decideTemplate(template, decision);
    shell.say(`${decision === "forget" ? "Forgotten" : "Masked"} on ${images} images. Ctrl+Z takes it back.`);
  };
  const asking = new Asking(session, decideTemplate);

  const tools = makeTools({
    doc: () => /** @type {any} */ (session.doc),
    begin: (label) => session.begin(label),
    end: () => {
      session.end();
      stage.changed(); // a finished change may have closed a hole
    },
    changed: () => stage.changed(),
    trace: (points, closed, masks) => marks.trace(points, closed, masks),
    untrace: () => marks.untrace(),
    pick(point, primary) {
      const region = session.doc?.regionAt(point.x, point.y);
      if (!region) return shell.say("There is no region here. Draw with the brush (B) or click an object (Q).");
      if (primary) panel.toggle(region, region.state !== "on");
      panel.reveal(region);
      marks.highlight(region);
    },
    look(point) {
      const region = session.doc?.regionAt(point.x, point.y) ?? null;
      if (region !== marks.region) marks.highlight(region);
    },
    click: (point, adds) => void clicks.click(point, adds),
    hover: (point, adds) => clicks.hover(point, adds),
    pan: (dx, dy) => stage.panBy(dx, dy),
    radius: () => controls.radius,
    near: () => NEAR_CSS_PX / stage.view.zoom,
  });
  const controls = new Controls(at("stage-area"), stage, tools);
  controls.addEventListener("tool", () => {
    clicks.stop();
    marks.highlight(null);
  });
  listen(
    stage,
    () => controls.tool,
    (event) => controls.follow(event),
  );
  stage.element.addEventListener("pointerleave", () => {
    controls.leave();
    clicks.stop();
  });

  session.addEventListener("open", () => {
    controls.tool.cancel?.();
    clicks.stop();
    if (session.doc) controls.suit(session.doc);
    marks.highlight(null);
    panel.open();
  });
  session.addEventListener("kept", () => panel.settle());
  queue.addEventListener("rows", () => panel.explain());
  session.addEventListener("edit", () => {
    panel.refresh();
    marks.highlight(marks.region);
  });
  stage.addEventListener("measured", (event) => panel.measured(/** @type {CustomEvent} */ (event).detail.masked));

  const choose = Object.fromEntries(Object.keys(tools).map((name) => [name, () => controls.choose(name)]));
  const actions = {
    ...shell.actions,
    ...choose,
    smaller: () => controls.smaller(),
    larger: () => controls.larger(),
    finish: () => void controls.tool.finish?.(),
    back: () => void controls.tool.back?.(),
    cancel: () => controls.tool.cancel?.(),
  };
  listenToKeys(actions, (held) => shell.original(held));
  controls.choose("select");

  await sync.resume();
  await Promise.all([shell.openFirst(), asking.load()]);
  document.body.dataset.ready = "true"; // for those who drive the page by script
}

start().catch((error) => {
  at("name").textContent = error.message || "The page could not be loaded.";
  at("progress").textContent = error.advice ?? "";
});
