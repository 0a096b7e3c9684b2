// Remakes test/a64/golden/rows.txt: node dist/scripts/a64-bless.js

import { writeFileSync } from "node:fs";
import { goldenText } from "../test/a64/golden.js";

writeFileSync("test/a64/golden/rows.txt", goldenText());
