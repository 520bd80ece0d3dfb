// The moving pictures. All cameras come in one answer, because a browser opens no more than six connections to a
// server. Each part is a line of JSON, {"camera", "size"}, and then that many bytes of JPEG.

const AGAIN_MS = 1000;

export class Pictures {
  // `onPicture(name, bitmap)` is called for each picture that came.
  constructor(onPicture) {
    this.onPicture = onPicture;
    this.wanted = "";
    this.stopper = null;
  }

  // Show these cameras, about `width` device pixels wide; a wish that has not changed changes nothing.
  want(names, width, fps) {
    const query = new URLSearchParams([...names.map(name => ["camera", name]), ["width", width], ["fps", fps]]);
    const wanted = names.length ? query.toString() : "";
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    this.stopper?.abort();
    if (wanted) this.keepReading(wanted, this.stopper = new AbortController());
  }

  async keepReading(wanted, stopper) {
    while (!stopper.signal.aborted) {
      try {
        const answer = await fetch(`/pictures?${wanted}`, { signal: stopper.signal });
        if (answer.ok) await this.read(answer.body.getReader(), stopper.signal);
      } catch (error) {
        if (stopper.signal.aborted) return; // the page says itself when the server is lost
      }
      await new Promise(done => setTimeout(done, AGAIN_MS));
    }
  }

  async read(reader, signal) {
    const bytes = new Bytes(reader);
    for (let head = await bytes.line(); head && !signal.aborted; head = await bytes.line()) {
      const { camera, size } = JSON.parse(head);
      const jpeg = await bytes.take(size);
      if (!jpeg) return;
      const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      if (!signal.aborted) this.onPicture(camera, bitmap);
      bitmap.close();
    }
  }
}

class Bytes {
  constructor(reader) {
    this.reader = reader;
    this.held = new Uint8Array(0);
  }

  async line() {
    let end;
    while ((end = this.held.indexOf(10)) < 0) if (!await this.more()) return null;
    return new TextDecoder().decode(this.drop(end + 1));
  }

  async take(size) {
    while (this.held.length < size) if (!await this.more()) return null;
    return this.drop(size);
  }

  drop(size) {
    const taken = this.held.slice(0, size);
    this.held = this.held.subarray(size);
    return taken;
  }

  async more() {
    const { done, value } = await this.reader.read();
    if (done) return false;
    const joined = new Uint8Array(this.held.length + value.length);
    joined.set(this.held);
    joined.set(value, this.held.length);
    this.held = joined;
    return true;
  }
}
