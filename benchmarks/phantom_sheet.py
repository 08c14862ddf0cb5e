"""Draws docs/phantoms.png: two rows of eight phantom cells, each of another patient."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from allnet_edge.data.phantom import generate

SHEET = Path(__file__).parents[1] / "docs" / "phantoms.png"
SEED, SIZE, VISIBLE, COLUMNS, BAND = 3, 192, 144, 8, 26
TITLES = {
    "all": "PHANTOM cells, class all: synthetic, no patient",
    "hem": "PHANTOM cells, class hem: synthetic, no patient",
}


def main() -> None:
    cells = generate(20, patients=20, seed=SEED, size=SIZE)
    sheet = Image.new("RGB", (COLUMNS * VISIBLE, 2 * (VISIBLE + BAND)))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    edge = (SIZE - VISIBLE) // 2
    for row, (label, title) in enumerate(TITLES.items()):
        top = row * (VISIBLE + BAND)
        draw.text((8, top + 5), title, fill=(225, 225, 225), font=font)
        chosen = [k for k, name in enumerate(cells.labels) if name == label][:COLUMNS]
        for column, k in enumerate(chosen):
            part = cells.images[k, edge : edge + VISIBLE, edge : edge + VISIBLE]
            sheet.paste(Image.fromarray(part), (column * VISIBLE, top + BAND))
    sheet.quantize(128, dither=Image.Dither.NONE).save(SHEET, optimize=True)
    print(f"{SHEET.name}: {SHEET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
