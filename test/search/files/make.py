"""Makes the files of this folder anew: one of each kind, by the libraries that others make theirs with.

    pip install python-docx openpyxl python-pptx reportlab odfpy && python3 make.py

Each holds the words that extract_test.ts looks for.
"""
import pathlib
from docx import Document
from docx.oxml.ns import qn
from openpyxl import Workbook
from openpyxl.comments import Comment
from pptx import Presentation
from pptx.util import Inches
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas
from odf.opendocument import OpenDocumentPresentation, OpenDocumentSpreadsheet, OpenDocumentText
from odf import dc, draw, style, table, text

HERE = pathlib.Path(__file__).parent

# docx: heading, paragraph in two runs, table, header, footer, title
word = Document()
word.core_properties.title = "Cormorant plan"
word.core_properties.author = "Ann Example"
word.add_heading("Gannet & sons", 1)
paragraph = word.add_paragraph("A shear")
paragraph.add_run("water").bold = True
paragraph.add_run(" over Zürich, 北京市")
cells = word.add_table(1, 2).rows[0].cells
cells[0].text, cells[1].text = "petrel", "fulmar"
section = word.sections[0]
section.header.paragraphs[0].text = "Headline kittiwake"
section.footer.paragraphs[0].text = "Footnote guillemot"
word.save(HERE / "word.docx")

# xlsx: shared strings, numbers, a comment
book = Workbook()
book.properties.title = "Puffin budget"
sheet = book.active
sheet.append(["razorbill", 4711.5, "total"])
sheet.append(["auk & auklet", 12, "=SUM(B1:B2)"])
sheet["A1"].comment = Comment("a note on skuas", "Ann")
book.save(HERE / "book.xlsx")

# pptx: title, bullets, notes
show = Presentation()
slide = show.slides.add_slide(show.slide_layouts[1])
slide.shapes.title.text = "Albatross results"
slide.placeholders[1].text = "Booby\nFrigatebird"
slide.notes_slide.notes_text_frame.text = "say something on tropicbirds"
show.save(HERE / "show.pptx")

# pdf: a standard font, an embedded one with ToUnicode, two pages, properties
pdfmetrics.registerFont(TTFont("DejaVu", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"))


def pdf(name, **options):
    page = canvas.Canvas(str(HERE / name), invariant=1, **options)
    page.setTitle("Heron report")
    page.setKeywords("egret")
    page.drawString(72, 720, "A bittern stood in the")
    page.drawString(72, 700, "reeds of the lake.")
    page.showPage()
    page.setFont("DejaVu", 12)
    page.drawString(72, 720, "Żuraw, журавль, γερανός")
    page.showPage()
    page.save()


pdf("plain.pdf")
from reportlab.lib.pdfencrypt import StandardEncryption
pdf("locked.pdf", encrypt=StandardEncryption("secret", ownerPassword="owner", canPrint=0))
pdf("open.pdf", encrypt=StandardEncryption("", ownerPassword="owner", canPrint=0))

# odt, ods, odp
writer = OpenDocumentText()
writer.meta.addElement(dc.Title(text="Lapwing letter"))
writer.text.addElement(text.H(outlinelevel=1, text="Dunlin"))
mixed = text.P(text="Sand")
mixed.addElement(text.Span(text="piper"))
mixed.addElement(text.Tab())
mixed.addText("<curlew>")
writer.text.addElement(mixed)
writer.save(str(HERE / "writer.odt"))

calc = OpenDocumentSpreadsheet()
tab = table.Table(name="Birds")
row = table.TableRow()
for value in ["godwit", "turnstone"]:
    cell = table.TableCell(valuetype="string")
    cell.addElement(text.P(text=value))
    row.addElement(cell)
tab.addElement(row)
calc.spreadsheet.addElement(tab)
calc.save(str(HERE / "calc.ods"))

impress = OpenDocumentPresentation()
layout = style.PageLayout(name="L")
impress.automaticstyles.addElement(layout)
master = style.MasterPage(name="M", pagelayoutname=layout)
impress.masterstyles.addElement(master)
page = draw.Page(masterpagename=master)
frame = draw.Frame(width="200pt", height="50pt")
box = draw.TextBox()
box.addElement(text.P(text="Whimbrel on a slide"))
frame.addElement(box)
page.addElement(frame)
impress.presentation.addElement(page)
impress.save(str(HERE / "impress.odp"))

(HERE / "letter.rtf").write_bytes(
    b"{\\rtf1\\ansi\\ansicpg1252\\uc1{\\fonttbl{\\f0 Unseen Sans;}}{\\info{\\title unseen title}}\n"
    b"{\\*\\generator Unseen Writer;}\\f0\\fs24 A {\\b corn}crake\\par in Z\\'fcrich\\line\n"
    b"\\u22823? \\{braces\\} {\\pict\\pngblip 89504e47}end}"
)
