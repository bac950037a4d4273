// The same page by Node's http, in one process. usage: node page.js HOST PORT
const [host, port] = process.argv.slice(2);
require('http').createServer((request, response) => {
  response.writeHead(200, {'Content-Type': 'text/plain'});
  response.end(`Hello ${request.method} ${request.url}\n`);
}).listen(Number(port), host);
