<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:s="http://icl.com/saxon"><xsl:template match="/"><out><xsl:value-of select="s:evaluate
 ('1 + 1')"/></out></xsl:template></xsl:stylesheet>
