/** Takes a `text/event-stream` apart: the data of each event, as soon as it is whole. */
export class EventParser {
  private text = "";
  private data: string[] = [];

  /** The data of the events that end in this piece. */
  push(piece: string): string[] {
    this.text += piece;
    // A carriage return at the end may be half of a line's end.
    const lines = this.text.split(/\r\n|\n|\r(?!$)/);
    this.text = lines.pop() ?? "";
    const events: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) events.push(this.data.join("\n"));
        this.data = [];
      } else if (line === "data" || line.startsWith("data:")) this.data.push(line.slice(5).replace(/^ /, ""));
    }
    return events;
  }
}
