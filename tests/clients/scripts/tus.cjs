// tus-js-client, used as Cloudflare's page on resumable uploads uses it, with its own URL storage.
"use strict";
const fs = require("node:fs");
const tus = require("tus-js-client");

const [path, storage, endpoint] = process.argv.slice(2);
const seen = { uid: null, previous: 0, patches: 0 };

const upload = new tus.Upload(fs.createReadStream(path), {
  endpoint,
  headers: { Authorization: `Bearer ${process.env.CLOUDFLARE_API_TOKEN}` },
  chunkSize: 5 * 1024 * 1024,
  retryDelays: null,
  uploadSize: fs.statSync(path).size,
  metadata: { name: "film.mp4", filetype: "video/mp4" },
  urlStorage: new tus.FileUrlStorage(storage),
  onAfterResponse(request, response) {
    seen.uid = response.getHeader("stream-media-id") ?? seen.uid;
    if (request.getMethod() === "PATCH") seen.patches += 1;
  },
  onError(error) {
    console.error(String(error));
    process.exit(1);
  },
  onSuccess() {
    seen.url = upload.url;
    console.log(JSON.stringify(seen));
  },
});

upload.findPreviousUploads().then((previous) => {
  seen.previous = previous.length;
  if (previous.length) upload.resumeFromPreviousUpload(previous[0]);
  upload.start();
});
