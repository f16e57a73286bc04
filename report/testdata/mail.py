"""Reads the mails named on standard input, one a line, as Python's own parser does, and tells of each in one line of JSON: its headers, its
parts, and everything in it that breaks a standard."""
import email.policy, hashlib, json, sys

for name in sys.stdin:
    with open(name.rstrip("\n"), "rb") as f:
        mail = email.message_from_binary_file(f, policy=email.policy.default)
    defects, parts = [], []
    for part in mail.walk():
        defects += [repr(d) for d in part.defects]
        for header, value in part.items():
            defects += [f"{header}: {d!r}" for d in value.defects]
        if not part.is_multipart():
            data = part.get_payload(decode=True)
            text = data.decode(part.get_content_charset("ascii")).replace("\r\n", "\n") if part.get_content_maintype() == "text" else ""
            parts.append({"Type": part.get_content_type(), "Disposition": part.get_content_disposition() or "", "Name": part.get_filename() or "",
                          "SHA256": hashlib.sha256(data).hexdigest(), "Text": text})
    print(json.dumps({"To": str(mail["To"] or ""), "Subject": str(mail["Subject"]), "Headers": sorted(mail.keys()), "Defects": defects, "Parts": parts}))
