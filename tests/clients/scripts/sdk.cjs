// The official SDK for Node, used as its README uses it. Prints what it saw as one line of JSON.
"use strict";
const Cloudflare = require("cloudflare");
const { readFile } = require("node:fs/promises");

const account_id = process.env.CLOUDFLARE_ACCOUNT_ID;
const client = new Cloudflare({ maxRetries: 0 });
const seen = {};

async function failure(call) {
  try {
    await call;
    return null;
  } catch (error) {
    return {
      name: error.constructor.name,
      status: error.status,
      code: error.errors?.[0]?.code,
      wait: error.headers?.get("retry-after") ?? null,
    };
  }
}

async function main(path) {
  const made = await client.stream.directUpload.create({
    account_id, maxDurationSeconds: 600, creator: "node", meta: { name: "by node" },
  });
  const form = new FormData();
  form.append("file", new Blob([await readFile(path)]), "film.mp4");
  seen.posted = (await fetch(made.uploadURL, { method: "POST", body: form })).status;
  seen.uid = made.uid;
  const listed = client.stream.list({ account_id, creator: "node", include_counts: true });
  seen.listed = [];
  for await (const video of listed) seen.listed.push(video.uid);
  seen.total = (await listed).total ?? (await listed).body?.total;
  const video = await client.stream.get(made.uid, { account_id });
  seen.got = [video.uid, video.size, video.meta.name];
  const edited = await client.stream.edit(made.uid, {
    account_id, requireSignedURLs: true, meta: { name: "renamed" },
  });
  seen.edited = [edited.requireSignedURLs, edited.meta.name];
  const usage = await client.stream.videos.storageUsage({ account_id, creator: "node" });
  seen.usage = [usage.creator, usage.videoCount, usage.totalStorageMinutesLimit];
  seen.token = (await client.user.tokens.verify()).status;

  const tus = await client.stream.create({
    account_id, direct_user: true,
    "Tus-Resumable": "1.0.0", "Upload-Length": 10, "Upload-Metadata": "name YQ==",
  }).asResponse();
  seen.tus = [tus.status, tus.headers.get("location"), tus.headers.get("stream-media-id")];
  const other = tus.headers.get("stream-media-id");
  await client.stream.delete(other, { account_id });

  seen.absent = await failure(client.stream.get(other, { account_id }));
  const stranger = new Cloudflare({ maxRetries: 0, apiToken: "wrong" });
  seen.stranger = await failure(stranger.stream.list({ account_id }));
  const full = { account_id, maxDurationSeconds: 36000 };
  seen.full = await failure(client.stream.directUpload.create(full));
  while (!(seen.limited = await failure(client.user.tokens.verify())));
}

main(process.argv[2]).then(
  () => console.log(JSON.stringify(seen)),
  (error) => { console.error(error); process.exit(1); },
);
