// What the microphones of the scripts hear.

/** The WAV file after so much silence, and before so much (s): the file must outlast the call. */
export function withSilence(wav, before, after) {
  let at = 12;
  while (wav.toString('latin1', at, at + 4) !== 'data') at += 8 + wav.readUInt32LE(at + 4);
  const second = wav.readUInt32LE(28);
  const speech = wav.subarray(at + 8, at + 8 + wav.readUInt32LE(at + 4));
  const silence = seconds => Buffer.alloc(seconds * second);
  const data = Buffer.concat([silence(before), speech, silence(after)]);
  const head = Buffer.from(wav.subarray(0, at + 8));
  head.writeUInt32LE(at + data.length, 4);
  head.writeUInt32LE(data.length, at + 4);
  return Buffer.concat([head, data]);
}
