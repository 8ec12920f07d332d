// Files by tus-js-client, one after the other, as Cloudflare's page on tus shows it for Node.js.
const fs = require("fs");
const path = require("path");
const tus = require("tus-js-client");

const [endpoint, token, ...files] = process.argv.slice(2);

function sent(name) {
  return new Promise((resolve, reject) => {
    const file = fs.createReadStream(name);
    const upload = new tus.Upload(file, {
      endpoint,
      headers: { Authorization: `Bearer ${token}` },
      chunkSize: 50 * 1024 * 1024,
      retryDelays: [0, 3000, 5000, 10000, 20000],
      metadata: { name: path.basename(name), filetype: "video/mp4" },
      uploadSize: fs.statSync(name).size,
      onError: reject,
      onSuccess: resolve,
    });
    upload.start();
  });
}

(async () => {
  for (const file of files) await sent(file);
})().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
